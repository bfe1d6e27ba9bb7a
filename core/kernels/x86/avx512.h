// What the AVX-512 files share; nobody else includes it. Everything is in an anonymous
// namespace, so that no copy compiled with their flags is linked elsewhere. AVX-512 F, BW, DQ, VL
// and VNNI; 16 virtual lanes are one register.
#pragma once

#include <immintrin.h>

#include "core/kernels/formulas.h"

namespace lockstep {

const KernelTable& Avx512Kernels();  // which those for AMX are based on

namespace avx512 {

inline constexpr size_t kWidth = 16;  // floats in a register

extern const ByWeightType<KernelTable::MatMulFn> kMatMul;
void Attention(const AttentionJob& job);

namespace {

// The first n lanes. REQUIRES: n <= 16.
inline __mmask16 First(size_t n) { return static_cast<__mmask16>((1u << n) - 1); }

inline __m512 LoadHalf(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// The register of formulas.h and attention_walk.h.
struct Floats {
  using Type = __m512;
  static constexpr size_t kWidth = avx512::kWidth;

  static Type Broadcast(float x) { return _mm512_set1_ps(x); }
  static Type Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, Type v) { _mm512_storeu_ps(p, v); }
  static Type LoadFirst(const float* p, size_t n) { return _mm512_maskz_loadu_ps(First(n), p); }
  static void StoreFirst(float* p, size_t n, Type v) { _mm512_mask_storeu_ps(p, First(n), v); }
  // The lanes before `end` that are not before `begin` come from v.
  static Type Select(size_t begin, size_t end, Type v, Type other) {
    const auto in = static_cast<__mmask16>(First(end) & ~First(begin));
    return _mm512_mask_mov_ps(other, in, v);
  }
  static Type Fma(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
  static Type Min(Type a, Type b) { return _mm512_min_ps(a, b); }
  static Type Max(Type a, Type b) { return _mm512_max_ps(a, b); }
  // A float whose exponent field, bits 23 to 30, holds n + 127 and whose other bits are zero is
  // 2^n.
  static Type PowerOfTwo(Type n) {
    const __m512i power = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(power, 23));
  }
  static Type ZeroBelow(Type x, float bound, Type v) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(bound), _CMP_GE_OQ), v);
  }
  // The lanes are added in halves, 8, 4, 2 and 1 apart, the order that kernels.h demands.
  // _mm512_reduce_add_ps leaves its order to the compiler.
  static float Sum(Type x) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 v = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
  }
  static float Largest(Type x) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 v = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    v = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
  }

  // What follows is for attention and panels of floats.
  static Type LoadHalves(const uint16_t* p, size_t n) {
    if (n == kWidth) return LoadHalf(p);
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(First(n), p));
  }
  // A bfloat16 is the upper half of a float. So the first of a pair, which is the lower half of a
  // lane, needs a shift, and the second one only a mask.
  static void LoadPairs(const uint8_t* p, Type& first, Type& second) {
    const __m512i pairs = _mm512_loadu_si512(p);
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    first = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
    second = _mm512_castsi512_ps(_mm512_and_si512(pairs, upper));
  }
  static Type LoadInt8(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
  static Type LoadInt4(const uint8_t* p, bool upper) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i shifted = _mm_srl_epi16(bytes, _mm_cvtsi32_si128(upper ? 4 : 0));
    const __m128i values =
        _mm_sub_epi8(_mm_and_si128(shifted, _mm_set1_epi8(15)), _mm_set1_epi8(8));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(values));
  }
  static Type BroadcastHalf(uint16_t half) {
    return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<int16_t>(half)));
  }
  static constexpr size_t ScoreGroups(size_t) { return 4; }
  static constexpr size_t ValueRegisters(size_t) { return 4; }
  static constexpr bool kAddsApart = true;
};

}  // namespace
}  // namespace avx512
}  // namespace lockstep
