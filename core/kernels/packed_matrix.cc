// From rows as a GGUF file stores them to panels, one row of a panel at a time, and back to single
// values. Where the parts of a group are is worked out from its format at compile time; the layout
// itself is drawn in layout.h.
#include "core/kernels/packed_matrix.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <type_traits>

#include "core/kernels/file_group.h"
#include "core/kernels/half.h"

namespace lockstep {
namespace {

constexpr size_t Index(WeightType type) { return static_cast<size_t>(type); }

bool HalfIsFinite(uint16_t h) { return (h & 0x7c00) != 0x7c00; }

// The bits of one element of a float type.
template <WeightType type>
using ElementBits = std::conditional_t<type == WeightType::kF32, uint32_t, uint16_t>;

template <WeightType type>
bool ElementIsFinite(ElementBits<type> bits) {
  if constexpr (type == WeightType::kF16) return HalfIsFinite(bits);
  constexpr uint32_t kExponent = type == WeightType::kF32 ? 0x7f800000u : 0x7f80u;
  return (bits & kExponent) != kExponent;
}

// Two columns are side by side for BF16, one for the others.
template <WeightType type>
bool PackFloatRow(const uint8_t* row, size_t cols, size_t lane, uint8_t* panel) {
  using T = ElementBits<type>;
  constexpr size_t kPair = type == WeightType::kBF16 ? 2 : 1;
  bool finite = true;
  for (size_t k = 0; k < cols; ++k) {
    T bits;
    std::memcpy(&bits, row + k * sizeof(T), sizeof(T));
    finite &= ElementIsFinite<type>(bits);
    const size_t at = (k / kPair * kPanelRows + lane) * kPair + k % kPair;
    std::memcpy(panel + at * sizeof(T), &bits, sizeof(T));
  }
  return finite;
}

// The sizes of a group's parts, by which each of them is found.
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

template <QuantFormat f>
void PackPlanes(const uint32_t (&code)[8], size_t lane, uint8_t* low, uint8_t* high) {
  PackPlane<f.low_bits>(code, 0, lane, low);
  if constexpr (f.high_bits != 0) PackPlane<f.high_bits>(code, f.low_bits, lane, high);
}

template <QuantFormat f>
void PackHeader(const FileGroup& g, size_t lane, uint8_t* p) {
  constexpr size_t kSubs = f.group / f.sub;
  const auto put = [&](uint16_t half) {
    std::memcpy(p + 2 * lane, &half, 2);
    p += 2 * kPanelRows;
  };
  for (size_t i = 0; i < (f.scale == ScaleForm::kHalves ? kSubs : 1); ++i) put(g.scale[i]);
  if (f.minimum) put(g.minimum);
  if (!HasSubScales(f)) return;
  for (size_t i = 0; i < kSubs; ++i) {
    uint8_t& to = p[i * kPanelRows + lane];
    to = static_cast<uint8_t>(g.sub_scale[i]);
    if (f.scale == ScaleForm::kNibbles) {
      to |= static_cast<uint8_t>(g.sub_minimum[i] << 4);
    } else if (f.minimum) {
      p[(kSubs + i) * kPanelRows + lane] = g.sub_minimum[i];
    }
  }
}

template <WeightType type>
bool PackQuantizedRow(const uint8_t* row, size_t cols, size_t lane, uint8_t* panel) {
  constexpr GroupLayout kLayout = kLayouts.of[Index(type)];
  constexpr QuantFormat kFormat = kLayout.format;
  bool finite = true;
  for (size_t k = 0; k < cols; k += kFormat.group) {
    FileGroup g;
    ReadFileGroup(type, row, g);
    finite &= kFormat.scale == ScaleForm::kPower || HalfIsFinite(g.scale[0]);  // NVFP4's all are
    finite &= !kFormat.minimum || HalfIsFinite(g.minimum);
    PackHeader<kFormat>(g, lane, panel);
    uint8_t* block = panel + kLayout.header_bytes;
    for (size_t b = 0; b < kFormat.group / kQuantBlock; ++b, block += kLayout.block_bytes) {
      PackPlanes<kFormat>(g.code[b], lane, block, block + kLayout.low_bytes);
    }
    row += FormatOf(type).file.bytes;
    panel += kLayout.group_bytes;
  }
  return finite;
}

// One row of a file to its lane of a panel; false if there is a NaN or an infinity. Compiled for
// each type, as the start of the server waits for it.
using PackRow = bool (*)(const uint8_t* row, size_t cols, size_t lane, uint8_t* panel);
constexpr ByWeightType<PackRow> kPackRow = TableOf([]<WeightType type>() -> PackRow {
  if constexpr (IsQuantized(type)) {
    return PackQuantizedRow<type>;
  } else {
    return PackFloatRow<type>;
  }
});

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
    finite &= kPackRow.of[Index(out.type)](from, out.cols, lane, to);
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
