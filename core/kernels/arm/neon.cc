// The table of NEON. Rounding to int8 and bfloat16, and rotating, which take narrowing and paired
// loads of NEON, are written here; the rest is formulas.h over its register.
#if defined(__aarch64__)

#include "core/kernels/arm/neon.h"

namespace lockstep {
namespace neon {
namespace {

size_t Min(size_t a, size_t b) { return a < b ? a : b; }

// A block's codes where the largest value is scaled to `most`, and their rounding errors.
struct RoundedBlock {
  int32x4_t code[2][kRegisters];
  float32x4_t error[2][kRegisters];
  float scale;

  RoundedBlock(const float* x, float amax, float most) {
    // Below this the inverse could overflow; kernels.h makes such blocks all zero.
    const bool zero = amax < 1e-30f;
    const float inverse = zero ? 0.0f : most / amax;
    scale = zero ? 0.0f : amax / most;
    for (size_t half = 0; half < 2; ++half) {
      for (size_t r = 0; r < kRegisters; ++r, x += kWidth) {
        const float32x4_t v = vld1q_f32(x);
        // Infinity times the inverse 0 is NaN, which becomes 0.
        code[half][r] = vcvtnq_s32_f32(vmulq_n_f32(v, inverse));
        error[half][r] = vfmsq_n_f32(v, vcvtq_f32_s32(code[half][r]), scale);
      }
    }
  }
};

// Stores a half block's codes and returns their sum.
int32_t StoreCodes(const int32x4_t (&code)[kRegisters], int8_t* q) {
  const int16x8_t low = vcombine_s16(vmovn_s32(code[0]), vmovn_s32(code[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(code[2]), vmovn_s32(code[3]));
  // Codes are from -127 to 127, so that narrowing twice without saturation loses nothing.
  vst1q_s8(q, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  return vaddvq_s32(vaddq_s32(vaddq_s32(code[0], code[1]), vaddq_s32(code[2], code[3])));
}

void Quantize(const float* x, size_t k, const QuantizedRow& out) {
  for (size_t b = 0; b < k / kQuantBlock; ++b, x += kQuantBlock) {
    float32x4_t max = vdupq_n_f32(0.0f);
    for (size_t i = 0; i < kQuantBlock; i += kWidth) {
      // The new value is the first operand, so that a NaN, which no comparison holds for, leaves
      // `max`.
      max = Floats::Max(vabsq_f32(vld1q_f32(x + i)), max);
    }
    const float amax = vmaxvq_f32(max);
    const RoundedBlock first(x, amax, kActivationMax[0]), second(x, amax, kActivationMax[1]);
    float32x4_t more[kRegisters] = {};  // error of the second than of the first
    for (size_t half = 0; half < 2; ++half) {
      for (size_t r = 0; r < kRegisters; ++r) {
        more[r] = vfmsq_f32(more[r], first.error[half][r], first.error[half][r]);
        more[r] = vfmaq_f32(more[r], second.error[half][r], second.error[half][r]);
      }
    }
    const RoundedBlock& best = Formulas<Floats>::AddLanes(more) < 0 ? second : first;
    int32_t sum[2];
    for (size_t i = 0; i < 2; ++i) {
      sum[i] = StoreCodes(best.code[i], out.q + b * kQuantBlock + 16 * i);
      out.sub_offset[2 * b + i] = -128 * sum[i];
      out.sub_sum[2 * b + i] = best.scale * static_cast<float>(sum[i]);
    }
    out.scale[b] = best.scale;
    out.offset[b] = -128 * (sum[0] + sum[1]);
    out.sum[b] = best.scale * static_cast<float>(sum[0] + sum[1]);
  }
}

// To nearest even; denormals become zeros of their sign, as the tile unit of x86 takes them for
// zero, and NaN stays NaN. Adding 0x7fff carries into the upper half if the lower one is above its
// middle, and with `odd` if it is just the middle and the upper half is odd. A NaN gets its quiet
// bit instead, as a carry could turn it into something else.
void ToBFloat16(const float* x, size_t k, uint16_t* bf16, float* f32) {
  for (size_t i = 0; i < k; i += kWidth) {
    const size_t n = Min(kWidth, k - i);
    const float32x4_t v = Floats::LoadFirst(x + i, n);
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t half = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    half = vbslq_u32(vceqq_f32(v, v), half, vorrq_u32(bits, vdupq_n_u32(0x400000)));
    const uint32x4_t normal = vtstq_u32(bits, vdupq_n_u32(0x7f800000u));
    half = vandq_u32(vbslq_u32(normal, half, vandq_u32(bits, vdupq_n_u32(0x80000000u))),
                     vdupq_n_u32(0xffff0000u));
    uint16_t four[kWidth];
    vst1_u16(four, vshrn_n_u32(half, 16));
    for (size_t j = 0; j < n; ++j) bf16[i + j] = four[j];
    Floats::StoreFirst(f32 + i, n, vreinterpretq_f32_u32(half));
  }
}

// Four pairs at a time. vld2q takes the pairs apart into all a and all b, and vst2q joins them
// again. The angles are loaded once for all heads. The last pairs of a head go through `few`, as
// vld2q would read the next head.
void Rope(float* x, size_t heads, size_t head_dim, const float* cos, const float* sin,
          size_t pairs) {
  for (size_t i = 0; i < pairs; i += kWidth) {
    const size_t left = Min(kWidth, pairs - i);
    const float32x4_t c = Floats::LoadFirst(cos + i, left), s = Floats::LoadFirst(sin + i, left);
    for (size_t h = 0; h < heads; ++h) {
      float* pair = x + h * head_dim + 2 * i;
      float few[2 * kWidth] = {};
      if (left < kWidth) {
        for (size_t j = 0; j < 2 * left; ++j) few[j] = pair[j];
      }
      const float32x4x2_t v = vld2q_f32(left < kWidth ? few : pair);  // all a, all b
      float32x4x2_t turned;
      turned.val[0] = vfmaq_f32(vnegq_f32(vmulq_f32(v.val[1], s)), v.val[0], c);
      turned.val[1] = vfmaq_f32(vmulq_f32(v.val[1], c), v.val[0], s);
      vst2q_f32(left < kWidth ? few : pair, turned);
      if (left < kWidth) {
        for (size_t j = 0; j < 2 * left; ++j) pair[j] = few[j];
      }
    }
  }
}

// FPCR.FZ does not reach conversions to half: its denormals are kept, as on x86.
void ToHalf(const float* x, size_t n, uint16_t* y) {
  for (size_t i = 0; i < n; i += kWidth) {
    const size_t left = Min(kWidth, n - i);
    const uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(Floats::LoadFirst(x + i, left)));
    if (left == kWidth) {
      vst1_u16(y + i, half);
      continue;
    }
    uint16_t four[kWidth];
    vst1_u16(four, half);
    for (size_t j = 0; j < left; ++j) y[i + j] = four[j];
  }
}

KernelTable Table(const char* isa, const KernelTable::MatMulFn* matmul) {
  return KernelTableOf<Floats>(isa, matmul, Quantize, ToBFloat16, Rope, ToHalf, Attention);
}

}  // namespace
}  // namespace neon

const KernelTable& NeonKernels() {
  static const KernelTable kTable = neon::Table("neon", neon::MatMulTable());
  return kTable;
}

const KernelTable& NeonDotKernels() {
  static const KernelTable kTable = neon::Table("neon_dot", neon::DotMatMulTable());
  return kTable;
}

}  // namespace lockstep

#endif  // __aarch64__
