// What the NEON files share; nobody else includes it. Everything is static, so that no copy
// compiled with other flags is linked in its place. 16 virtual lanes are four registers.
#pragma once

#include <arm_neon.h>

#include "core/kernels/exp_constants.h"
#include "core/kernels/kernels.h"

namespace lockstep::neon {

inline constexpr size_t kWidth = 4;                    // floats in a register
inline constexpr size_t kRegisters = kLanes / kWidth;  // of 16 lanes

// [kWeightTypes]
const KernelTable::MatMulFn* MatMulTable();
const KernelTable::MatMulFn* DotMatMulTable();  // REQUIRES: sdot
void Attention(const AttentionJob& job);

// The first n lanes of memory; the others are zero, or left alone. REQUIRES: n <= 4.
static inline float32x4_t LoadFirst(const float* p, size_t n) {
  if (n == kWidth) return vld1q_f32(p);
  float four[kWidth] = {};
  for (size_t i = 0; i < n; ++i) four[i] = p[i];
  return vld1q_f32(four);
}

static inline void StoreFirst(float* p, float32x4_t v, size_t n) {
  if (n == kWidth) return vst1q_f32(p, v);
  float four[kWidth];
  vst1q_f32(four, v);
  for (size_t i = 0; i < n; ++i) p[i] = four[i];
}

// a > b ? a : b, which fmax is not for NaN.
static inline float32x4_t Greater(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline float32x4_t Exp(float32x4_t x) {
  namespace c = exp_constants;
  const uint32x4_t in_range = vcgeq_f32(x, vdupq_n_f32(c::kLowest));
  x = vminq_f32(x, vdupq_n_f32(c::kHighest));
  const float32x4_t round = vdupq_n_f32(c::kRound);
  const float32x4_t n = vsubq_f32(vfmaq_f32(round, x, vdupq_n_f32(c::kLog2E)), round);
  float32x4_t r = vfmaq_f32(x, n, vdupq_n_f32(-c::kLn2High));
  r = vfmaq_f32(r, n, vdupq_n_f32(-c::kLn2Low));
  float32x4_t p = vdupq_n_f32(c::kC[0]);
  for (int i = 1; i < 6; ++i) p = vfmaq_f32(vdupq_n_f32(c::kC[i]), p, r);
  p = vfmaq_f32(vaddq_f32(r, vdupq_n_f32(1.0f)), p, vmulq_f32(r, r));
  const int32x4_t power = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
  p = vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(power, 23)));
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(p), in_range));
}

// g / (1 + exp(-z))
static inline float32x4_t Gate(float32x4_t g, float32x4_t z) {
  return vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), Exp(vnegq_f32(z))));
}

static inline float32x4_t SoftCap(float32x4_t x, float cap) {
  const float32x4_t over = vaddq_f32(Exp(vmulq_n_f32(x, 2.0f / cap)), vdupq_n_f32(1.0f));
  return vsubq_f32(vdupq_n_f32(cap), vdivq_f32(vdupq_n_f32(2.0f * cap), over));
}

static inline float AddLanes(const float32x4_t (&x)[kRegisters]) {
  const float32x4_t four = vaddq_f32(vaddq_f32(x[0], x[2]), vaddq_f32(x[1], x[3]));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline float32x4_t LoadHalf(const uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

// 16 bytes as floats.
static inline void ToFloats(int8x16_t bytes, float32x4_t (&f)[kRegisters]) {
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  f[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
  f[1] = vcvtq_f32_s32(vmovl_high_s16(low));
  f[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
  f[3] = vcvtq_f32_s32(vmovl_high_s16(high));
}

}  // namespace lockstep::neon
