#include "core/kernels/packed_matrix.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace lockstep {
namespace {

constexpr size_t kQ8FileBlock = 34, kQ4FileBlock = 18;  // f16 scale, then 32 codes
constexpr size_t kQ8Block = 16 * kQ8FileBlock, kQ4Block = 16 * kQ4FileBlock;

uint16_t LoadU16(const uint8_t* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}

bool HalfIsFinite(uint16_t h) { return (h & 0x7c00) != 0x7c00; }

// Bytes of one element of a float type.
size_t ElementBytes(WeightType type) { return type == WeightType::kF32 ? 4 : 2; }

bool ElementIsFinite(WeightType type, const uint8_t* p) {
  if (type == WeightType::kF16) return HalfIsFinite(LoadU16(p));
  if (type == WeightType::kBF16) return (LoadU16(p) & 0x7f80) != 0x7f80;
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  return (bits & 0x7f800000u) != 0x7f800000u;
}

bool PackFloatRow(WeightType type, const uint8_t* row, size_t cols, size_t lane, uint8_t* panel) {
  const size_t size = ElementBytes(type);
  bool finite = true;
  for (size_t k = 0; k < cols; ++k) {
    finite &= ElementIsFinite(type, row + k * size);
    std::memcpy(panel + (k * kPanelRows + lane) * size, row + k * size, size);
  }
  return finite;
}

bool PackQ8Row(const uint8_t* row, size_t cols, size_t lane, uint8_t* panel) {
  bool finite = true;
  for (size_t b = 0; b < cols / kQuantBlock; ++b, row += kQ8FileBlock, panel += kQ8Block) {
    finite &= HalfIsFinite(LoadU16(row));
    std::memcpy(panel + 2 * lane, row, 2);
    for (size_t j = 0; j < 8; ++j) {
      std::memcpy(panel + 32 + (j * kPanelRows + lane) * 4, row + 2 + j * 4, 4);
    }
  }
  return finite;
}

// A file's block keeps k = i in the low and k = i + 16 in the high nibble of byte i.
bool PackQ4Row(const uint8_t* row, size_t cols, size_t lane, uint8_t* panel) {
  bool finite = true;
  for (size_t b = 0; b < cols / kQuantBlock; ++b, row += kQ4FileBlock, panel += kQ4Block) {
    finite &= HalfIsFinite(LoadU16(row));
    std::memcpy(panel + 2 * lane, row, 2);
    const auto code = [row](size_t k) { return k < 16 ? row[2 + k] & 15 : row[2 + k - 16] >> 4; };
    for (size_t j = 0; j < 4; ++j) {
      for (size_t i = 0; i < 4; ++i) {
        panel[32 + (j * kPanelRows + lane) * 4 + i] =
            static_cast<uint8_t>(code(8 * j + i) | code(8 * j + 4 + i) << 4);
      }
    }
  }
  return finite;
}

}  // namespace

const char* Name(WeightType type) {
  constexpr const char* kNames[kWeightTypes] = {"F32", "F16", "BF16", "Q8_0", "Q4_0"};
  return kNames[static_cast<size_t>(type)];
}

size_t FileRowBytes(WeightType type, size_t cols) {
  if (type == WeightType::kQ8_0) return cols / kQuantBlock * kQ8FileBlock;
  if (type == WeightType::kQ4_0) return cols / kQuantBlock * kQ4FileBlock;
  return cols * ElementBytes(type);
}

size_t PanelBytes(WeightType type, size_t cols) { return kPanelRows * FileRowBytes(type, cols); }

PackedMatrix MakePackedMatrix(WeightType type, size_t rows, size_t cols) {
  PackedMatrix m{.type = type, .rows = rows, .cols = cols, .panels = {}};
  m.panels = AlignedBuffer<uint8_t>(m.panel_count() * PanelBytes(type, cols));
  return m;
}

bool PackPanel(const uint8_t* file_rows, size_t panel, PackedMatrix& out) {
  uint8_t* to = out.panels.data() + panel * PanelBytes(out.type, out.cols);
  const size_t row_bytes = FileRowBytes(out.type, out.cols);
  bool finite = true;
  for (size_t lane = 0; lane < kPanelRows; ++lane) {
    const size_t row = panel * kPanelRows + lane;
    if (row >= out.rows) break;
    const uint8_t* from = file_rows + row * row_bytes;
    switch (out.type) {
      case WeightType::kQ8_0:
        finite &= PackQ8Row(from, out.cols, lane, to);
        break;
      case WeightType::kQ4_0:
        finite &= PackQ4Row(from, out.cols, lane, to);
        break;
      default:
        finite &= PackFloatRow(out.type, from, out.cols, lane, to);
        break;
    }
  }
  return finite;
}

void DecodeRow(const PackedMatrix& matrix, size_t row, float* out) {
  assert(row < matrix.rows);
  const uint8_t* panel = matrix.panel(row / kPanelRows);
  const size_t lane = row % kPanelRows;
  for (size_t k = 0; k < matrix.cols; ++k) {
    const size_t block = k / kQuantBlock, i = k % kQuantBlock;
    switch (matrix.type) {
      case WeightType::kF32:
        std::memcpy(out + k, panel + (k * kPanelRows + lane) * 4, 4);
        break;
      case WeightType::kF16:
        out[k] = HalfToFloat(LoadU16(panel + (k * kPanelRows + lane) * 2));
        break;
      case WeightType::kBF16:
        out[k] = BFloat16ToFloat(LoadU16(panel + (k * kPanelRows + lane) * 2));
        break;
      case WeightType::kQ8_0: {
        const uint8_t* b = panel + block * kQ8Block;
        const auto q = static_cast<int8_t>(b[32 + (i / 4 * kPanelRows + lane) * 4 + i % 4]);
        out[k] = HalfToFloat(LoadU16(b + 2 * lane)) * static_cast<float>(q);
        break;
      }
      case WeightType::kQ4_0: {
        const uint8_t* b = panel + block * kQ4Block;
        const uint8_t byte = b[32 + (i / 8 * kPanelRows + lane) * 4 + i % 4];
        const int code = i % 8 < 4 ? byte & 15 : byte >> 4;
        out[k] = HalfToFloat(LoadU16(b + 2 * lane)) * static_cast<float>(code - 8);
        break;
      }
    }
  }
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t rest = half & 0x7fff;
  if (rest >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ff) << 13);
  if (rest >= 0x0400) return std::bit_cast<float>(sign | ((rest << 13) + ((127u - 15u) << 23)));
  // Denormal or zero: the bits count units of 2^-24, exactly.
  const float value = static_cast<float>(rest) * 0x1p-24f;
  return sign != 0 ? -value : value;
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00);   // NaN, payload dropped
  if (rest >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00);  // rounds to infinity
  if (rest >= 0x38800000u) {  // normal: round the 13 bits that go to nearest even
    const uint32_t rounded = rest + 0xfff + ((rest >> 13) & 1);
    return static_cast<uint16_t>(sign | ((rounded - ((127u - 15u) << 23)) >> 13));
  }
  if (rest < 0x33000000u) return sign;  // below half of the smallest denormal
  const uint32_t exponent = rest >> 23, mantissa = (rest & 0x7fffffu) | 0x800000u;
  const uint32_t shift = 126 - exponent;  // 14 to 24: the result counts units of 2^-24
  const uint32_t kept = mantissa >> shift, lost = mantissa & ((1u << shift) - 1);
  const uint32_t half_way = 1u << (shift - 1);
  const uint32_t up = lost > half_way || (lost == half_way && (kept & 1)) ? 1 : 0;
  return static_cast<uint16_t>(sign | (kept + up));
}

float BFloat16ToFloat(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

}  // namespace lockstep
