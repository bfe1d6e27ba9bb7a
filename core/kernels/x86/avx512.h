// What the AVX-512 files share; nobody else includes it. Everything is static, so that no copy
// compiled with their flags is linked elsewhere. AVX-512 F, BW, DQ, VL and VNNI; 16 virtual lanes
// are one register.
#pragma once

#include <immintrin.h>

#include "core/kernels/exp_constants.h"
#include "core/kernels/kernels.h"

namespace lockstep {

const KernelTable& Avx512Kernels();  // which those for AMX are based on

namespace avx512 {

inline constexpr size_t kWidth = 16;  // floats in a register

extern const ByWeightType<KernelTable::MatMulFn> kMatMul;
void Attention(const AttentionJob& job);

// The first n lanes. REQUIRES: n <= 16.
static inline __mmask16 First(size_t n) { return static_cast<__mmask16>((1u << n) - 1); }

static inline __m512 Exp(__m512 x) {
  namespace c = exp_constants;
  const __mmask16 in_range = _mm512_cmp_ps_mask(x, _mm512_set1_ps(c::kLowest), _CMP_GE_OQ);
  x = _mm512_min_ps(x, _mm512_set1_ps(c::kHighest));
  const __m512 round = _mm512_set1_ps(c::kRound);
  const __m512 n = _mm512_sub_ps(_mm512_fmadd_ps(x, _mm512_set1_ps(c::kLog2E), round), round);
  __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-c::kLn2High), x);
  r = _mm512_fmadd_ps(n, _mm512_set1_ps(-c::kLn2Low), r);
  __m512 p = _mm512_set1_ps(c::kC[0]);
  for (int i = 1; i < 6; ++i) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c::kC[i]));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  const __m512i power = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_maskz_mul_ps(in_range, p, _mm512_castsi512_ps(_mm512_slli_epi32(power, 23)));
}

// g / (1 + exp(-z))
static inline __m512 Gate(__m512 g, __m512 z) {
  const __m512 minus = _mm512_xor_ps(z, _mm512_set1_ps(-0.0f));
  return _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), Exp(minus)));
}

static inline __m512 SoftCap(__m512 x, float cap) {
  const __m512 e = Exp(_mm512_mul_ps(x, _mm512_set1_ps(2.0f / cap)));
  const __m512 over = _mm512_add_ps(e, _mm512_set1_ps(1.0f));
  return _mm512_sub_ps(_mm512_set1_ps(cap), _mm512_div_ps(_mm512_set1_ps(2.0f * cap), over));
}

static inline float AddLanes(__m512 x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 v = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}

static inline float MaxLanes(__m512 x) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 v = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  v = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
}

static inline __m512 LoadHalf(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

}  // namespace avx512
}  // namespace lockstep
