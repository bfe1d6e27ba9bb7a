// From rows as a GGUF file stores them to panels, one row of a panel at a time, and back to single
// values. Where the parts of a group are is worked out from its format at compile time; the layout
// itself is drawn in layout.h.
#include "core/kernels/packed_matrix.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "core/kernels/file_group.h"
#include "core/kernels/half.h"

namespace lockstep {
namespace {

constexpr size_t Index(WeightType type) { return static_cast<size_t>(type); }

bool HalfIsFinite(uint16_t h) { return (h & 0x7c00) != 0x7c00; }

template <class T>
bool ElementIsFinite(WeightType type, T bits) {
  if (type == WeightType::kF16) return HalfIsFinite(static_cast<uint16_t>(bits));
  const uint32_t exponent = type == WeightType::kF32 ? 0x7f800000u : 0x7f80u;
  return (bits & exponent) != exponent;
}

// T: the bits of an element. Two columns are side by side for BF16, one for the others.
template <class T>
bool PackFloatRow(WeightType type, const uint8_t* row, size_t cols, size_t lane, uint8_t* panel) {
  const size_t pair = type == WeightType::kBF16 ? 2 : 1;
  bool finite = true;
  for (size_t k = 0; k < cols; ++k) {
    T bits;
    std::memcpy(&bits, row + k * sizeof(T), sizeof(T));
    finite &= ElementIsFinite(type, bits);
    const size_t at = (k / pair * kPanelRows + lane) * pair + k % pair;
    std::memcpy(panel + at * sizeof(T), &bits, sizeof(T));
  }
  return finite;
}

// Where the parts of a group are.
struct GroupLayout {
  QuantFormat format;
  size_t header_bytes, low_bytes, block_bytes, group_bytes;
};

constexpr ByWeightType<GroupLayout> kLayouts = TableOf([]<WeightType type>() -> GroupLayout {
  constexpr QuantFormat kFormat = FormatOf(type).quant;
  if constexpr (!IsQuantized(type)) return {};
  return {kFormat, HeaderBytes(kFormat), LowPlaneBytes(kFormat), BlockBytes(kFormat),
          GroupBytes(kFormat)};
});

// Vector i of a plane, this lane's word.
uint8_t* Word(uint8_t* plane, size_t i, size_t lane) { return plane + (i * kPanelRows + lane) * 4; }

void PutWord(uint8_t* plane, size_t i, size_t lane, uint32_t word) {
  std::memcpy(Word(plane, i, lane), &word, 4);
}

// Spreads `bits` bits of each code, from bit `from`, over a plane: 8 / bits words share one.
template <size_t bits>
void PackPlane(const uint32_t (&code)[8], size_t from, size_t lane, uint8_t* plane) {
  constexpr size_t kShare = 8 / bits;
  constexpr uint32_t kMask = ((1u << bits) - 1) * 0x01010101u;
  for (size_t i = 0; i < 8 / kShare; ++i) {
    uint32_t word = 0;
    for (size_t t = 0; t < kShare; ++t)
      word |= ((code[kShare * i + t] >> from) & kMask) << (bits * t);
    PutWord(plane, i, lane, word);
  }
}

void PackPlanes(const QuantFormat& f, const uint32_t (&code)[8], size_t lane, uint8_t* low,
                uint8_t* high) {
  if (f.low_bits == 8) PackPlane<8>(code, 0, lane, low);
  if (f.low_bits == 4) PackPlane<4>(code, 0, lane, low);
  if (f.low_bits == 2) PackPlane<2>(code, 0, lane, low);
  if (f.high_bits == 2) PackPlane<2>(code, f.low_bits, lane, high);
  if (f.high_bits == 1) PackPlane<1>(code, f.low_bits, lane, high);
}

void PackHeader(const QuantFormat& f, const FileGroup& g, size_t lane, uint8_t* p) {
  const size_t subs = f.group / f.sub;
  const auto put = [&](uint16_t half) {
    std::memcpy(p + 2 * lane, &half, 2);
    p += 2 * kPanelRows;
  };
  for (size_t i = 0; i < (f.scale == ScaleForm::kHalves ? subs : 1); ++i) put(g.scale[i]);
  if (f.minimum) put(g.minimum);
  if (!HasSubScales(f)) return;
  for (size_t i = 0; i < subs; ++i) {
    uint8_t& to = p[i * kPanelRows + lane];
    to = static_cast<uint8_t>(g.sub_scale[i]);
    if (f.scale == ScaleForm::kNibbles) {
      to |= static_cast<uint8_t>(g.sub_minimum[i] << 4);
    } else if (f.minimum) {
      p[(subs + i) * kPanelRows + lane] = g.sub_minimum[i];
    }
  }
}

bool PackQuantizedRow(WeightType type, const uint8_t* row, size_t cols, size_t lane,
                      uint8_t* panel) {
  const GroupLayout& layout = kLayouts.of[Index(type)];
  const QuantFormat& f = layout.format;
  const size_t file_bytes = FormatOf(type).file.bytes;
  bool finite = true;
  for (size_t k = 0; k < cols; k += f.group, row += file_bytes, panel += layout.group_bytes) {
    FileGroup g;
    ReadFileGroup(type, row, g);
    finite &= f.scale == ScaleForm::kPower || HalfIsFinite(g.scale[0]);  // NVFP4's all are
    finite &= !f.minimum || HalfIsFinite(g.minimum);
    PackHeader(f, g, lane, panel);
    uint8_t* block = panel + layout.header_bytes;
    for (size_t b = 0; b < f.group / kQuantBlock; ++b, block += layout.block_bytes) {
      PackPlanes(f, g.code[b], lane, block, block + layout.low_bytes);
    }
  }
  return finite;
}

size_t PairedColumns(WeightType type, size_t cols) {
  return type == WeightType::kBF16 ? (cols + 1) / 2 * 2 : cols;
}

// Bits [bits * i % 8, ...) of the plane's code of column i of the block.
int PlaneBits(size_t bits, const uint8_t* plane, size_t i, size_t lane) {
  const size_t share = 8 / bits, t = i / 4;
  const uint8_t byte = plane[(t / share * kPanelRows + lane) * 4 + i % 4];
  return (byte >> (bits * (t % share))) & ((1 << bits) - 1);
}

}  // namespace

const char* Name(WeightType type) { return FormatOf(type).name; }
size_t FileBlock(WeightType type) { return FormatOf(type).file.columns; }

size_t FileRowBytes(WeightType type, size_t cols) {
  return cols / FormatOf(type).file.columns * FormatOf(type).file.bytes;
}

size_t PanelBytes(WeightType type, size_t cols) {
  if (IsQuantized(type)) {
    const GroupLayout& layout = kLayouts.of[Index(type)];
    return cols / layout.format.group * layout.group_bytes;
  }
  return kPanelRows * PairedColumns(type, cols) * FormatOf(type).file.bytes;
}

PackedMatrix MakePackedMatrix(WeightType type, size_t rows, size_t cols) {
  PackedMatrix m{.type = type, .rows = rows, .cols = cols, .panels = {}};
  m.panels = AlignedBuffer<uint8_t>(m.panel_count() * PanelBytes(type, cols));
  return m;
}

bool PackPanel(const uint8_t* file_rows, size_t panel, PackedMatrix& out, const uint32_t* order) {
  uint8_t* to = out.panels.data() + panel * PanelBytes(out.type, out.cols);
  const size_t row_bytes = FileRowBytes(out.type, out.cols);
  const size_t rows = std::min(kPanelRows, out.rows - panel * kPanelRows);
  bool finite = true;
  for (size_t lane = 0; lane < rows; ++lane) {
    const size_t row = panel * kPanelRows + lane;
    const uint8_t* from = file_rows + (order != nullptr ? order[row] : row) * row_bytes;
    if (IsQuantized(out.type)) {
      finite &= PackQuantizedRow(out.type, from, out.cols, lane, to);
    } else if (out.type == WeightType::kF32) {
      finite &= PackFloatRow<uint32_t>(out.type, from, out.cols, lane, to);
    } else {
      finite &= PackFloatRow<uint16_t>(out.type, from, out.cols, lane, to);
    }
  }
  return finite;
}

int PanelWeight(const QuantFormat& f, const uint8_t* block, size_t i, size_t lane) {
  int code = PlaneBits(f.low_bits, block, i, lane);
  if (f.high_bits != 0) {
    code |= PlaneBits(f.high_bits, block + 64 * f.low_bits, i, lane) << f.low_bits;
  }
  return HasTable(f) ? CodeWeights(f)[code] : code - f.bias;
}

PanelScale PanelScaleOf(const QuantFormat& f, const uint8_t* group, size_t sub, size_t lane) {
  const auto half = [lane](const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p + 2 * lane, 2);
    return HalfToFloat(bits);
  };
  const auto bfloat16 = [lane](const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p + 2 * lane, 2);
    return BFloat16ToFloat(bits);
  };
  const uint8_t* const own = f.scale == ScaleForm::kHalves ? group + sub * 2 * kPanelRows : group;
  PanelScale s = {f.scale == ScaleForm::kPower ? bfloat16(own) : half(own) * ScaleFactor(f),
                  f.minimum ? half(group + 2 * kPanelRows) : 0.0f};
  if (!HasSubScales(f)) return s;
  const bool nibbles = f.scale == ScaleForm::kNibbles;
  const uint8_t* scales = group + HalfScaleBytes(f);
  const uint8_t byte = scales[sub * kPanelRows + lane];
  s.scale *= static_cast<float>(nibbles ? byte & 15 : static_cast<int8_t>(byte));
  if (f.minimum) {
    const uint8_t minimum =
        nibbles ? byte >> 4 : scales[(f.group / f.sub + sub) * kPanelRows + lane];
    s.minimum *= -static_cast<float>(minimum);
  }
  return s;
}

void DecodeRow(const PackedMatrix& matrix, size_t row, float* out) {
  assert(row < matrix.rows);
  const uint8_t* panel = matrix.panel(row / kPanelRows);
  const size_t lane = row % kPanelRows;
  if (!IsQuantized(matrix.type)) {
    for (size_t k = 0; k < matrix.cols; ++k) out[k] = PanelElement(matrix.type, panel, k, lane);
    return;
  }
  const GroupLayout& layout = kLayouts.of[Index(matrix.type)];
  const QuantFormat& f = layout.format;
  for (size_t k = 0; k < matrix.cols; ++k) {
    const uint8_t* group = panel + k / f.group * layout.group_bytes;
    const size_t in_group = k % f.group;
    const uint8_t* block =
        group + layout.header_bytes + in_group / kQuantBlock * layout.block_bytes;
    const PanelScale s = PanelScaleOf(f, group, in_group / f.sub, lane);
    const int weight = PanelWeight(f, block, k % kQuantBlock, lane);
    out[k] = __builtin_fmaf(s.scale, static_cast<float>(weight), s.minimum);
  }
}

float PanelElement(WeightType type, const uint8_t* panel, size_t k, size_t lane) {
  if (type == WeightType::kF32) {
    float v;
    std::memcpy(&v, panel + (k * kPanelRows + lane) * 4, 4);
    return v;
  }
  const size_t at =
      type == WeightType::kBF16 ? (k / 2 * kPanelRows + lane) * 2 + k % 2 : k * kPanelRows + lane;
  uint16_t bits;
  std::memcpy(&bits, panel + at * 2, 2);
  return type == WeightType::kF16 ? HalfToFloat(bits) : BFloat16ToFloat(bits);
}

}  // namespace lockstep
