// What the NEON files share; nobody else includes it. Everything is in an anonymous namespace,
// so that no copy compiled with other flags is linked in its place. 16 virtual lanes are four
// registers.
#pragma once

#include <arm_neon.h>

#include "core/kernels/formulas.h"

namespace lockstep::neon {

inline constexpr size_t kWidth = 4;                    // floats in a register
inline constexpr size_t kRegisters = kLanes / kWidth;  // of 16 lanes

// [kWeightTypes]
const KernelTable::MatMulFn* MatMulTable();
const KernelTable::MatMulFn* DotMatMulTable();  // REQUIRES: sdot
void Attention(const AttentionJob& job);

namespace {

inline float32x4_t LoadHalf(const uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

// The register of formulas.h and attention_walk.h.
struct Floats {
  using Type = float32x4_t;
  static constexpr size_t kWidth = neon::kWidth;

  static Type Broadcast(float x) { return vdupq_n_f32(x); }
  static Type Load(const float* p) { return vld1q_f32(p); }
  static void Store(float* p, Type v) { vst1q_f32(p, v); }
  // NEON has no masked loads or stores: what is less than a register goes through four floats on
  // the stack, and nothing beyond the n-th is read or written.
  static Type LoadFirst(const float* p, size_t n) {
    if (n == kWidth) return Load(p);
    float four[kWidth] = {};
    for (size_t i = 0; i < n; ++i) four[i] = p[i];
    return Load(four);
  }
  static void StoreFirst(float* p, size_t n, Type v) {
    if (n == kWidth) return Store(p, v);
    float four[kWidth];
    Store(four, v);
    for (size_t i = 0; i < n; ++i) p[i] = four[i];
  }
  static Type Select(size_t begin, size_t end, Type v, Type other) {
    static constexpr uint32_t kLane[kWidth] = {0, 1, 2, 3};
    const uint32x4_t lane = vld1q_u32(kLane);
    const uint32x4_t from = vcgeq_u32(lane, vdupq_n_u32(static_cast<uint32_t>(begin)));
    const uint32x4_t to = vcltq_u32(lane, vdupq_n_u32(static_cast<uint32_t>(end)));
    return vbslq_f32(vandq_u32(from, to), v, other);
  }
  static Type Fma(Type a, Type b, Type c) { return vfmaq_f32(c, a, b); }
  // fmin and fmax are something else for NaN.
  static Type Min(Type a, Type b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static Type Max(Type a, Type b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  // A float whose exponent field, bits 23 to 30, holds n + 127 and whose other bits are zero is
  // 2^n.
  static Type PowerOfTwo(Type n) {
    const int32x4_t power = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(power, 23));
  }
  // A comparison with NaN is false, so that the result is zero there.
  static Type ZeroBelow(Type x, float bound, Type v) {
    const uint32x4_t kept = vcgeq_f32(x, vdupq_n_f32(bound));
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), kept));
  }
  // The caller has added the registers, which are lanes 8 and 4 apart; here those 2 and 1 apart
  // are. vaddvq_f32 would add neighbours first, in another order than kernels.h demands.
  static float Sum(Type x) {
    const float32x2_t two = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  static float Largest(Type x) { return vmaxvq_f32(x); }

  // What follows is for attention and panels of floats.
  static Type LoadHalves(const uint16_t* p, size_t n) {
    if (n == kWidth) return LoadHalf(p);
    uint16_t some[kWidth] = {};
    for (size_t i = 0; i < n; ++i) some[i] = p[i];
    return LoadHalf(some);
  }
  // A bfloat16 is the upper half of a float. So the first of a pair, which is the lower half of a
  // lane, needs a shift, and the second one only a mask.
  static void LoadPairs(const uint8_t* p, Type& first, Type& second) {
    const uint32x4_t pairs = vreinterpretq_u32_u8(vld1q_u8(p));
    first = vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
    second = vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000u)));
  }
  static Type LoadInt8(const int8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof(four));
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
  }
  static Type LoadInt4(const uint8_t* p, bool upper) {
    uint32_t four;
    __builtin_memcpy(&four, p, sizeof(four));
    four = (upper ? four >> 4 : four) & 0x0f0f0f0fu;
    const int16x8_t wide = vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four))));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vsubq_s16(wide, vdupq_n_s16(8)))));
  }
  static Type BroadcastHalf(uint16_t half) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
  }
  // One group of 16 keys, which is four registers, for at most four queries: with more chains gcc
  // 12 spills.
  static constexpr size_t ScoreGroups(size_t) { return 1; }
  static constexpr size_t ValueRegisters(size_t) { return 4; }
  static constexpr bool kAddsApart = false;
};

inline void ToFloats(int8x16_t bytes, float32x4_t (&f)[kRegisters]) {
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  f[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
  f[1] = vcvtq_f32_s32(vmovl_high_s16(low));
  f[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
  f[3] = vcvtq_f32_s32(vmovl_high_s16(high));
}

}  // namespace
}  // namespace lockstep::neon
