// The table of AVX2. Rounding to int8 and bfloat16, and rotating, which take shuffles and integers
// of AVX2, are written here; the rest is formulas.h over its register.
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"

namespace lockstep {
namespace avx2 {
namespace {

// The sum of the eight integers, which is exact in any order.
int32_t AddInts(__m256i x) {
  __m128i v = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xb1)));
}

// Eight values to codes. A value that is not finite becomes 0: the mask clears it before the
// product, since the conversion would make INT_MIN of it.
__m256i Round(__m256 x, __m256 finite, float inverse) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_and_ps(x, finite), _mm256_set1_ps(inverse)));
}

// The rounding errors of the codes.
__m256 RoundingError(__m256 x, __m256i code, float scale) {
  return _mm256_fnmadd_ps(_mm256_cvtepi32_ps(code), _mm256_set1_ps(scale), x);
}

void Quantize(const float* x, size_t k, const QuantizedRow& out) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (size_t b = 0; b < k / kQuantBlock; ++b, x += kQuantBlock) {
    __m256 v[4], max = _mm256_setzero_ps();
    for (size_t i = 0; i < 4; ++i) {
      // vmaxps gives its second operand where one of the two is NaN. So a NaN among the values
      // leaves the maximum as it is, which the reference does by a comparison.
      v[i] = _mm256_loadu_ps(x + i * kWidth);
      max = _mm256_max_ps(_mm256_and_ps(v[i], magnitude), max);
    }
    // One vdivps makes all four quotients, as a division takes longer than most of the rest.
    const float amax = Floats::Largest(max), m0 = kActivationMax[0], m1 = kActivationMax[1];
    alignas(16) float ratio[4] = {};  // codes per unit, and units per code, for both
    if (!(amax < 1e-30f)) {
      _mm_store_ps(ratio,
                   _mm_div_ps(_mm_setr_ps(m0, m1, amax, amax), _mm_setr_ps(amax, amax, m0, m1)));
    }
    __m256i code[4], other[4];
    __m256 more[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};  // error of `other`
    for (size_t i = 0; i < 4; ++i) {
      const __m256 finite = _mm256_cmp_ps(_mm256_and_ps(v[i], magnitude),
                                          _mm256_set1_ps(__builtin_inff()), _CMP_LT_OQ);
      // Registers 0 and 2 hold virtual lanes 0 to 7 of the 32 values, 1 and 3 hold lanes 8 to 15;
      // each pair has one accumulator, as value i belongs to lane i % 16.
      code[i] = Round(v[i], finite, ratio[0]);
      other[i] = Round(v[i], finite, ratio[1]);
      const __m256 d0 = RoundingError(v[i], code[i], ratio[2]),
                   d1 = RoundingError(v[i], other[i], ratio[3]);
      more[i % 2] = _mm256_fmadd_ps(d1, d1, _mm256_fnmadd_ps(d0, d0, more[i % 2]));
    }
    const bool better = Formulas<Floats>::AddLanes(more) < 0;
    const float scale = better ? ratio[3] : ratio[2];
    const __m256i mask = _mm256_set1_epi32(better ? -1 : 0);  // no branch: it cannot be foreseen
    for (size_t i = 0; i < 4; ++i) code[i] = _mm256_blendv_epi8(code[i], other[i], mask);
    // The packs work within 128-bit halves; the permutation puts the groups of four in order.
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]),
                                              _mm256_packs_epi32(code[2], code[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.q + b * kQuantBlock),
                        _mm256_permutevar8x32_epi32(packed, order));
    const int32_t sum[2] = {AddInts(_mm256_add_epi32(code[0], code[1])),
                            AddInts(_mm256_add_epi32(code[2], code[3]))};
    for (size_t i = 0; i < 2; ++i) {
      out.sub_offset[2 * b + i] = -128 * sum[i];
      out.sub_sum[2 * b + i] = scale * static_cast<float>(sum[i]);
    }
    out.scale[b] = scale;
    out.offset[b] = -128 * (sum[0] + sum[1]);
    out.sum[b] = scale * static_cast<float>(sum[0] + sum[1]);
  }
}

// To nearest even; denormals become zeros of their sign, as the tile unit takes them for zero, and
// NaN stays NaN. The result is the bits of floats whose lower halves are zero.
// Adding 0x7fff carries into the upper half if the lower one is above its middle, and with one more
// if the upper half is odd, if it is just the middle. In a NaN the carry could run into the sign,
// or leave an infinity: there the quiet bit 0x400000 is set instead.
__m256i RoundToBFloat16(__m256 v) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i half = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  half = _mm256_blendv_epi8(half, _mm256_or_si256(bits, _mm256_set1_epi32(0x400000)), nan);
  const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000));
  const __m256i denormal = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const __m256i sign = _mm256_and_si256(bits, _mm256_set1_epi32(INT32_MIN));
  return _mm256_blendv_epi8(_mm256_and_si256(half, upper), sign, denormal);
}

void ToBFloat16(const float* x, size_t k, uint16_t* bf16, float* f32) {
  for (size_t i = 0; i < k; i += kWidth) {
    const size_t n = k - i < kWidth ? k - i : kWidth;
    const __m256i rounded = RoundToBFloat16(Floats::LoadFirst(x + i, n));
    Floats::StoreFirst(f32 + i, n, _mm256_castsi256_ps(rounded));
    const __m256i low = _mm256_srli_epi32(rounded, 16);
    const __m128i half =
        _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    if (n == kWidth) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(bf16 + i), half);
    } else {
      alignas(16) uint16_t last[kWidth];
      _mm_store_si128(reinterpret_cast<__m128i*>(last), half);
      for (size_t j = 0; j < n; ++j) bf16[i + j] = last[j];
    }
  }
}

// Four pairs at a time. With v = a0 b0 a1 b1 ..., cs = c0 s0 c1 s1 ... and sc = s0 c0 s1 c1 ...,
// vfmaddsubps takes b * sc away from a * cs in even lanes and adds it in odd ones: a0 c0 - b0 s0,
// a0 s0 + b0 c0, which is the rotation with the roundings that kernels.h gives.
void Rope(float* x, size_t heads, size_t head_dim, const float* cos, const float* sin,
          size_t pairs) {
  for (size_t h = 0; h < heads; ++h, x += head_dim) {
    size_t i = 0;
    for (; i + 4 <= pairs; i += 4) {
      const __m128 c = _mm_loadu_ps(cos + i), s = _mm_loadu_ps(sin + i);
      // The unpacking interleaves c and s: c0 s0 c1 s1 in the lower half, c2 s2 c3 s3 in the upper
      // one.
      const __m256 cs = _mm256_set_m128(_mm_unpackhi_ps(c, s), _mm_unpacklo_ps(c, s));
      const __m256 sc = _mm256_permute_ps(cs, 0xb1);
      const __m256 v = _mm256_loadu_ps(x + 2 * i);
      const __m256 b = _mm256_mul_ps(_mm256_movehdup_ps(v), sc);
      _mm256_storeu_ps(x + 2 * i, _mm256_fmaddsub_ps(_mm256_moveldup_ps(v), cs, b));
    }
    for (; i < pairs; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = __builtin_fmaf(a, cos[i], -(b * sin[i]));
      x[2 * i + 1] = __builtin_fmaf(a, sin[i], b * cos[i]);
    }
  }
}

void ToHalf(const float* x, size_t n, uint16_t* y) {
  // The rounding is in the instruction, so that it does not depend on MXCSR.
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), kNearest));
  }
  for (; i < n; ++i) {
    y[i] = static_cast<uint16_t>(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x[i]), kNearest)));
  }
}

constexpr KernelTable kTable =
    KernelTableOf<Floats>("avx2", kMatMul.of, Quantize, ToBFloat16, Rope, ToHalf, Attention);

}  // namespace
}  // namespace avx2

const KernelTable& Avx2Kernels() { return avx2::kTable; }

}  // namespace lockstep

#endif  // __x86_64__
