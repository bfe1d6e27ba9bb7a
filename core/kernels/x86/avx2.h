// What the AVX2 files share; nobody else includes it. Everything is in an anonymous
// namespace, so that no copy compiled with their flags is linked elsewhere. AVX2, FMA and F16C; 16
// virtual lanes are two registers.
#pragma once

#include <immintrin.h>

#include "core/kernels/formulas.h"

namespace lockstep::avx2 {

inline constexpr size_t kWidth = 8;  // floats in a register

extern const ByWeightType<KernelTable::MatMulFn> kMatMul;
void Attention(const AttentionJob& job);

namespace {

// All bits of the first n lanes, and none of the others: maskload, maskstore and blendv look at the
// top bit of a lane. REQUIRES: n < 2^31.
inline __m256i First(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline __m256 LoadHalf(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// The register of formulas.h and attention_walk.h.
struct Floats {
  using Type = __m256;
  static constexpr size_t kWidth = avx2::kWidth;

  static Type Broadcast(float x) { return _mm256_set1_ps(x); }
  static Type Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Type v) { _mm256_storeu_ps(p, v); }
  // Whole registers go without the mask, whose stores are slow on AMD.
  static Type LoadFirst(const float* p, size_t n) {
    return n == kWidth ? Load(p) : _mm256_maskload_ps(p, First(n));
  }
  static void StoreFirst(float* p, size_t n, Type v) {
    if (n == kWidth) return Store(p, v);
    _mm256_maskstore_ps(p, First(n), v);
  }
  // The lanes before `end` that are not before `begin` come from v.
  static Type Select(size_t begin, size_t end, Type v, Type other) {
    const __m256i in = _mm256_andnot_si256(First(begin), First(end));
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(in));
  }
  static Type Fma(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
  static Type Min(Type a, Type b) { return _mm256_min_ps(a, b); }
  static Type Max(Type a, Type b) { return _mm256_max_ps(a, b); }
  // A float whose exponent field, bits 23 to 30, holds n + 127 and whose other bits are zero is
  // 2^n.
  static Type PowerOfTwo(Type n) {
    const __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(power, 23));
  }
  // GE_OQ is false if x is NaN, so that the result is zero there.
  static Type ZeroBelow(Type x, float bound, Type v) {
    return _mm256_and_ps(v, _mm256_cmp_ps(x, _mm256_set1_ps(bound), _CMP_GE_OQ));
  }
  // The registers are added in halves: lanes 8 apart (by the caller), then 4, 2 and 1 apart. All
  // instruction sets add in this order, as kernels.h demands.
  static float Sum(Type x) {
    __m128 v = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
  }
  static float Largest(Type x) {
    __m128 v = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    v = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
  }

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
    const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    first = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
    second = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper));
  }
  static Type LoadInt8(const int8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  }
  static Type LoadInt4(const uint8_t* p, bool upper) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    const __m128i shifted = _mm_srl_epi16(bytes, _mm_cvtsi32_si128(upper ? 4 : 0));
    const __m128i values =
        _mm_sub_epi8(_mm_and_si128(shifted, _mm_set1_epi8(15)), _mm_set1_epi8(8));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(values));
  }
  static Type BroadcastHalf(uint16_t half) {
    return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<int16_t>(half)));
  }
  // Eight chains of fma at a time hide its latency.
  static constexpr size_t ScoreGroups(size_t queries) { return 4 / queries; }
  static constexpr size_t ValueRegisters(size_t queries) { return 8 / queries; }
  static constexpr bool kAddsApart = false;
};

}  // namespace
}  // namespace lockstep::avx2
