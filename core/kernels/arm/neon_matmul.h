// Matrix products for NEON, compiled twice: with __ARM_FEATURE_DOTPROD four int8 products are added
// by sdot, without it by smull and pairwise additions. Both are signed, so the weights are used as
// they are and the activations' offsets are not needed. A few columns are multiplied straight from
// the packed weights; for more, a panel is first expanded to one byte a weight and one float a
// scale, so that one inner loop serves all types. Only neon_matmul.cc and neon_dot_matmul.cc
// include this, and all of it is theirs alone.
#pragma once

#include "core/kernels/arm/neon.h"
#include "core/kernels/float_tile.h"
#include "core/kernels/unpack.h"

namespace lockstep::neon {
namespace {

// ---- float types

// Eight chains hide the latency of fmla on two pipes, and sixteen on four; with more of them, gcc
// 12 puts some in memory. BF16 has twice as many as there are products.
template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void*) requires(!IsQuantized(type)) {
  // A panel takes four registers for each column, so 4 columns by 1 panel, or 1 column by 2 panels,
  // are 16 and 8 chains.
  constexpr size_t kColumns = type == WeightType::kBF16 ? 2 : 4, kPanels = kColumns / 2;
  const size_t bytes = PanelBytes(type, x.k), whole = n / kColumns * kColumns;
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = 0; c < whole; c += kColumns) {
      FloatTile<Floats, type, 1, kColumns>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows,
                                                ldy);
    }
  }
  size_t p = 0;
  for (; p + kPanels <= panels; p += kPanels) {
    for (size_t c = whole; c < n; ++c) {
      FloatTile<Floats, type, kPanels, 1>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
  for (; p < panels; ++p) {
    for (size_t c = whole; c < n; ++c) {
      FloatTile<Floats, type, 1, 1>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
}

// ---- quantized types

// Columns up to which expanding does not pay, and columns of a tile of the expanded panel. Without
// sdot the products themselves take registers.
#if defined(__ARM_FEATURE_DOTPROD)
constexpr size_t kDirectColumns = 2, kTileColumns = 4;
#else
constexpr size_t kDirectColumns = 1, kTileColumns = 2;
#endif

// To each row's sum the products of its four weights with the lane-th four of q. A register of
// weights holds four rows of four columns, and q has 16 columns, which serve four such registers.
template <int lane>
int32x4_t AddProducts(int32x4_t sum, int8x16_t weights, int8x16_t q) {
#if defined(__ARM_FEATURE_DOTPROD)
  return vdotq_laneq_s32(sum, weights, q, lane);
#else
  // Two products fit in int16, as weights reach -128 but q only +-127; four need not.
  const int8x16_t four = vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(q), lane));
  const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(four));
  const int16x8_t high = vmull_high_s8(weights, four);
  return vpadalq_s16(sum, vpaddq_s16(low, high));
#endif
}

inline uint8x16_t LoadBytes(const uint8_t* p) { return vld1q_u8(p); }

// The weights of columns 4 * step .. + 3 of four rows, the first of which `block` points to. A
// table's codes are indices, which tbl looks up directly as signed weights.
template <QuantFormat format, int step>
int8x16_t WeightsOf(const uint8_t* block) {
  uint8x16_t code = CodesAt<LoadBytes, format, step>(block);
  if constexpr (HasTable(format)) return vqtbl1q_s8(vld1q_s8(CodeWeights(format)), code);
  if constexpr (format.bias != 0) code = vsubq_u8(code, vdupq_n_u8(format.bias));
  return vreinterpretq_s8_u8(code);
}

// Step t % 4 of 16 columns reads the t % 4-th four of q, which a lane index of sdot picks.
template <QuantFormat format, int step, size_t kColumns>
void AddStep(const uint8_t* block, const int8x16_t (&q)[kColumns], int32x4_t (&dot)[kColumns]) {
  const int8x16_t weights = WeightsOf<format, step>(block);
  for (size_t c = 0; c < kColumns; ++c) dot[c] = AddProducts<step % 4>(dot[c], weights, q[c]);
}

// The 16 columns from 16 * half of a block. Called out of line, the sums would go through memory.
template <QuantFormat format, int half, size_t kColumns>
[[gnu::always_inline]] inline void AddHalf(const uint8_t* block, const int8x16_t (&q)[kColumns],
                                           int32x4_t (&dot)[kRegisters][kColumns]) {
  for (size_t r = 0; r < kRegisters; ++r) {
    AddStep<format, 4 * half>(block + 16 * r, q, dot[r]);
    AddStep<format, 4 * half + 1>(block + 16 * r, q, dot[r]);
    AddStep<format, 4 * half + 2>(block + 16 * r, q, dot[r]);
    AddStep<format, 4 * half + 3>(block + 16 * r, q, dot[r]);
  }
}

// The scales and minima of a group's sub-blocks.
template <QuantFormat format>
class Scales {
 public:
  explicit Scales(const uint8_t* group)
      : halves_(reinterpret_cast<const uint16_t*>(group)), subs_(group + HalfScaleBytes(format)) {
    for (size_t r = 0; r < kRegisters; ++r) {
      if constexpr (format.scale == ScaleForm::kPower) {
        const uint32x4_t wide = vshll_n_u16(vld1_u16(halves_ + r * kWidth), 16);
        scale_[r] = vreinterpretq_f32_u32(wide);
      } else if constexpr (format.scale != ScaleForm::kHalves) {
        scale_[r] = Half(0, r);
      }
      if constexpr (format.minimum) minimum_[r] = LoadHalf(halves_ + kPanelRows + r * kWidth);
    }
  }
  // A group's scale that is multiplied by the sub-block's small integer stays exact in float.
  void Scale(size_t sub, float32x4_t (&out)[kRegisters]) const {
    if constexpr (format.scale == ScaleForm::kHalves) {
      for (size_t r = 0; r < kRegisters; ++r) out[r] = Half(sub, r);
    } else if constexpr (!HasSubScales(format)) {
      for (size_t r = 0; r < kRegisters; ++r) out[r] = scale_[r];
    } else {
      uint8x16_t bytes = vld1q_u8(subs_ + sub * kPanelRows);
      if constexpr (kNibbles) bytes = vandq_u8(bytes, vdupq_n_u8(15));
      ToFloats(vreinterpretq_s8_u8(bytes), out);
      for (size_t r = 0; r < kRegisters; ++r) out[r] = vmulq_f32(scale_[r], out[r]);
    }
  }
  // Q4_1 and Q5_1 store what is added. The K types store a magnitude that is subtracted, and its
  // sign is turned here, so that both kinds are added by the same fma.
  void Minimum(size_t sub, float32x4_t (&out)[kRegisters]) const {
    if constexpr (!HasSubScales(format)) {
      for (size_t r = 0; r < kRegisters; ++r) out[r] = minimum_[r];
    } else {
      const size_t row = kNibbles ? sub : format.group / format.sub + sub;
      uint8x16_t bytes = vld1q_u8(subs_ + row * kPanelRows);
      if constexpr (kNibbles) bytes = vshrq_n_u8(bytes, 4);
      const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
      out[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
      out[1] = vcvtq_f32_u32(vmovl_high_u16(low));
      out[2] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
      out[3] = vcvtq_f32_u32(vmovl_high_u16(high));
      for (size_t r = 0; r < kRegisters; ++r) out[r] = vmulq_f32(minimum_[r], vnegq_f32(out[r]));
    }
  }

 private:
  static constexpr bool kNibbles = format.scale == ScaleForm::kNibbles;
  float32x4_t Half(size_t i, size_t r) const {
    const float32x4_t scale = LoadHalf(halves_ + i * kPanelRows + r * kWidth);
    if constexpr (format.scale_shift == 0) return scale;
    return vmulq_n_f32(scale, ScaleFactor(format));
  }
  const uint16_t* halves_;
  const uint8_t* subs_;
  float32x4_t scale_[kRegisters], minimum_[kRegisters];
};

// One panel times kColumns columns, straight from the packed weights.
template <QuantFormat format, size_t kColumns>
void DirectTile(const uint8_t* group, const ActivationView& x, float* y, size_t ldy) {
  constexpr size_t kSubs = kQuantBlock / format.sub;
  const size_t subs = x.k / format.sub, blocks = x.k / kQuantBlock;
  const float* sum = kSubs == 1 ? x.sum : x.sub_sum;
  float32x4_t acc[kRegisters][kColumns] = {};
  // Sub-block h of block b of the group, which begins at column `first`.
  const auto add_sub = [&]<int h>(const Scales<format>& scales, const uint8_t* block, size_t first,
                                  size_t b) {
    const size_t k = first + b * kQuantBlock, sub = k / format.sub + h;
    int32x4_t dot[kRegisters][kColumns] = {};
    int8x16_t q[kColumns];
    for (size_t c = 0; c < kColumns; ++c) q[c] = vld1q_s8(x.q + c * x.k + k + 16 * h);
    AddHalf<format, h>(block, q, dot);
    if constexpr (kSubs == 1) {
      for (size_t c = 0; c < kColumns; ++c) q[c] = vld1q_s8(x.q + c * x.k + k + 16);
      AddHalf<format, 1>(block, q, dot);
    }
    float32x4_t scale[kRegisters];
    scales.Scale(b * kSubs + h, scale);
    for (size_t c = 0; c < kColumns; ++c) {
      for (size_t r = 0; r < kRegisters; ++r) {
        const float32x4_t both = vmulq_n_f32(scale[r], x.scale[c * blocks + k / kQuantBlock]);
        acc[r][c] = vfmaq_f32(acc[r][c], vcvtq_f32_s32(dot[r][c]), both);
      }
    }
    if constexpr (format.minimum) {
      scales.Minimum(b * kSubs + h, scale);
      for (size_t c = 0; c < kColumns; ++c) {
        for (size_t r = 0; r < kRegisters; ++r) {
          acc[r][c] = vfmaq_n_f32(acc[r][c], scale[r], sum[c * subs + sub]);
        }
      }
    }
  };
  for (size_t first = 0; first < x.k; first += format.group, group += GroupBytes(format)) {
    const Scales<format> scales(group);
    for (size_t b = 0; b < format.group / kQuantBlock; ++b) {
      const uint8_t* block = group + HeaderBytes(format) + b * BlockBytes(format);
      add_sub.template operator()<0>(scales, block, first, b);
      if constexpr (kSubs == 2) add_sub.template operator()<1>(scales, block, first, b);
    }
  }
  for (size_t c = 0; c < kColumns; ++c) {
    for (size_t r = 0; r < kRegisters; ++r) {
      vst1q_f32(y + c * ldy + r * kWidth, acc[r][c]);
    }
  }
}

// A panel as the inner loop wants it: weights, and a float scale and minimum for each sub-block.
struct Expanded {
  int8_t* weights;         // [k / 4][16][4]
  float *scales, *minima;  // [k / sub][16]
};

template <QuantFormat format, int step>
void ExpandStep(const uint8_t* block, int8_t* weights) {
  for (size_t r = 0; r < kRegisters; ++r) {
    const int8x16_t v = WeightsOf<format, step>(block + r * 16);
    vst1q_s8(weights + step * 64 + r * 16, v);
  }
}

template <QuantFormat format>
void Expand(const uint8_t* group, size_t k, const Expanded& out) {
  int8_t* weights = out.weights;
  float *scales = out.scales, *minima = out.minima;
  for (size_t first = 0; first < k; first += format.group, group += GroupBytes(format)) {
    const Scales<format> s(group);
    for (size_t sub = 0; sub < format.group / format.sub; ++sub) {
      float32x4_t v[kRegisters];
      s.Scale(sub, v);
      for (size_t r = 0; r < kRegisters; ++r, scales += kWidth) vst1q_f32(scales, v[r]);
      if constexpr (format.minimum) {
        s.Minimum(sub, v);
        for (size_t r = 0; r < kRegisters; ++r, minima += kWidth) vst1q_f32(minima, v[r]);
      }
    }
    const uint8_t* block = group + HeaderBytes(format);
    // A block of 32 columns expands to 512 bytes: eight steps of 16 rows by four columns.
    for (size_t b = 0; b < format.group / kQuantBlock;
         ++b, block += BlockBytes(format), weights += 512) {
      [&]<size_t... step>(std::index_sequence<step...>) __attribute__((always_inline)) {
        (ExpandStep<format, step>(block, weights), ...);
      }
      (std::make_index_sequence<8>());
    }
  }
}

// Half a panel, so that its integer and float sums for a few columns fit in registers: with four
// columns these are 8 and 8 of the 32, and weights, activations and products take others.
constexpr size_t kTileRows = 8;
constexpr size_t kTileRegisters = kTileRows / kWidth;

// Columns 4t .. 4t + 3 of an expanded panel; `lane` is t % 4. A step's 64 bytes are 16 rows, of
// which the tile reads the 32 bytes of its eight.
template <int lane, size_t kColumns>
void AddExpanded(const int8_t* weights, const int8x16_t (&q)[kColumns],
                 int32x4_t (&dot)[kTileRegisters][kColumns]) {
  for (size_t r = 0; r < kTileRegisters; ++r) {
    const int8x16_t v = vld1q_s8(weights + lane * 64 + r * 16);
    for (size_t c = 0; c < kColumns; ++c) dot[r][c] = AddProducts<lane>(dot[r][c], v, q[c]);
  }
}

// Rows `row` to row + 7 of an expanded panel times kColumns columns from `first`.
template <size_t kSub, bool kMinimum, size_t kColumns>
void Tile(const Expanded& w, size_t row, const ActivationView& x, size_t first, float* y,
          size_t ldy) {
  // Each 16 columns are 256 bytes of the panel. A sub-block of 32 takes two rounds of the loop
  // below, one of 16 a single one.
  constexpr size_t kSubs = kQuantBlock / kSub;
  const size_t subs = x.k / kSub, blocks = x.k / kQuantBlock;
  const float* sum = (kSubs == 1 ? x.sum : x.sub_sum) + first * subs;
  const float* dx = x.scale + first * blocks;
  const int8_t* column = x.q + first * x.k;
  const int8_t* weights = w.weights + row * 4;
  float32x4_t acc[kTileRegisters][kColumns] = {};
  for (size_t s = 0; s < subs; ++s) {
    int32x4_t dot[kTileRegisters][kColumns] = {};
#pragma GCC unroll 2
    for (size_t k = s * kSub; k < (s + 1) * kSub; k += 16, weights += 256) {
      int8x16_t q[kColumns];
      for (size_t c = 0; c < kColumns; ++c) q[c] = vld1q_s8(column + c * x.k + k);
      AddExpanded<0>(weights, q, dot);
      AddExpanded<1>(weights, q, dot);
      AddExpanded<2>(weights, q, dot);
      AddExpanded<3>(weights, q, dot);
    }
    for (size_t r = 0; r < kTileRegisters; ++r) {
      const float32x4_t scale = vld1q_f32(w.scales + s * kPanelRows + row + r * kWidth);
      for (size_t c = 0; c < kColumns; ++c) {
        const float32x4_t both = vmulq_n_f32(scale, dx[c * blocks + s / kSubs]);
        acc[r][c] = vfmaq_f32(acc[r][c], vcvtq_f32_s32(dot[r][c]), both);
      }
      if constexpr (kMinimum) {
        const float32x4_t minimum = vld1q_f32(w.minima + s * kPanelRows + row + r * kWidth);
        for (size_t c = 0; c < kColumns; ++c) {
          acc[r][c] = vfmaq_n_f32(acc[r][c], minimum, sum[c * subs + s]);
        }
      }
    }
  }
  for (size_t c = 0; c < kColumns; ++c) {
    for (size_t r = 0; r < kTileRegisters; ++r) {
      vst1q_f32(y + (first + c) * ldy + row + r * kWidth, acc[r][c]);
    }
  }
}

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void* scratch) requires(IsQuantized(type)) {
  constexpr QuantFormat kFormat = FormatOf(type).quant;
  const size_t bytes = x.k / kFormat.group * GroupBytes(kFormat);
  if (n <= kDirectColumns) {
    for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
      // n is 1 or 2, as kDirectColumns is at most 2.
      if (n == kDirectColumns) {
        DirectTile<kFormat, kDirectColumns>(w, x, y, ldy);
      } else {
        DirectTile<kFormat, 1>(w, x, y, ldy);
      }
    }
    return;
  }
  Expanded e;
  e.weights = static_cast<int8_t*>(scratch);
  e.scales = reinterpret_cast<float*>(e.weights + x.k * kPanelRows);
  e.minima = e.scales + x.k / kFormat.sub * kPanelRows;
  for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
    Expand<kFormat>(w, x.k, e);
    size_t c = 0;
    for (; c + kTileColumns <= n; c += kTileColumns) {
      Tile<kFormat.sub, kFormat.minimum, kTileColumns>(e, 0, x, c, y, ldy);
      Tile<kFormat.sub, kFormat.minimum, kTileColumns>(e, kTileRows, x, c, y, ldy);
    }
    for (; c < n; ++c) {
      Tile<kFormat.sub, kFormat.minimum, 1>(e, 0, x, c, y, ldy);
      Tile<kFormat.sub, kFormat.minimum, 1>(e, kTileRows, x, c, y, ldy);
    }
  }
}

constexpr ByWeightType<KernelTable::MatMulFn> kMatMul =
    TableOf([]<WeightType type>() -> KernelTable::MatMulFn { return MatMul<type>; });

}  // namespace
}  // namespace lockstep::neon
