// What the AVX2 files share; nobody else includes it. Everything is static, so that no copy
// compiled with their flags is linked elsewhere. AVX2, FMA and F16C; 16 virtual lanes are two
// registers.
#pragma once

#include <immintrin.h>

#include "core/kernels/exp_constants.h"
#include "core/kernels/kernels.h"

namespace lockstep::avx2 {

inline constexpr size_t kWidth = 8;  // floats in a register

extern const ByWeightType<KernelTable::MatMulFn> kMatMul;
void Attention(const AttentionJob& job);

// All bits of the first n lanes. REQUIRES: n < 2^31.
static inline __m256i First(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// The first n lanes, n <= 8. Whole registers go without the mask, whose stores are slow on AMD.
static inline __m256 LoadFirst(const float* p, size_t n) {
  return n == kWidth ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, First(n));
}
static inline void StoreFirst(float* p, size_t n, __m256 v) {
  if (n == kWidth) {
    _mm256_storeu_ps(p, v);
  } else {
    _mm256_maskstore_ps(p, First(n), v);
  }
}

static inline __m256 Exp(__m256 x) {
  namespace c = exp_constants;
  const __m256 in_range = _mm256_cmp_ps(x, _mm256_set1_ps(c::kLowest), _CMP_GE_OQ);
  x = _mm256_min_ps(x, _mm256_set1_ps(c::kHighest));
  const __m256 round = _mm256_set1_ps(c::kRound);
  const __m256 n = _mm256_sub_ps(_mm256_fmadd_ps(x, _mm256_set1_ps(c::kLog2E), round), round);
  __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-c::kLn2High), x);
  r = _mm256_fmadd_ps(n, _mm256_set1_ps(-c::kLn2Low), r);
  __m256 p = _mm256_set1_ps(c::kC[0]);
  for (int i = 1; i < 6; ++i) p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(c::kC[i]));
  p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
  const __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  const __m256 result = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
  return _mm256_and_ps(result, in_range);
}

// g / (1 + exp(-z))
static inline __m256 Gate(__m256 g, __m256 z) {
  const __m256 minus = _mm256_xor_ps(z, _mm256_set1_ps(-0.0f));
  return _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), Exp(minus)));
}

static inline __m256 SoftCap(__m256 x, float cap) {
  const __m256 e = Exp(_mm256_mul_ps(x, _mm256_set1_ps(2.0f / cap)));
  const __m256 over = _mm256_add_ps(e, _mm256_set1_ps(1.0f));
  return _mm256_sub_ps(_mm256_set1_ps(cap), _mm256_div_ps(_mm256_set1_ps(2.0f * cap), over));
}

static inline float AddLanes(__m256 low, __m256 high) {
  const __m256 eight = _mm256_add_ps(low, high);
  __m128 v = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}

static inline float MaxLanes(__m256 x) {
  __m128 v = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  v = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
}

static inline __m256 LoadHalf(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

}  // namespace lockstep::avx2
