// The table of AVX-512. Rounding to int8 and bfloat16, and rotating, which take masks and shuffles
// of AVX-512, are written here; the rest is formulas.h over its register.
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"

namespace lockstep {
namespace avx512 {
namespace {

// The four lanes of four registers to one register: (a0 + a2) + (a1 + a3) of each, or the largest.
template <class Join>
__m128 Across(const __m128 (&v)[4], Join join) {
  const auto two = [&](__m128 a, __m128 b) {
    return join(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
  };
  const __m128 ab = two(v[0], v[1]), cd = two(v[2], v[3]);
  return join(_mm_shuffle_ps(ab, cd, 0x88), _mm_shuffle_ps(ab, cd, 0xdd));
}

// Up to four blocks of 32 from `x`, which are blocks `first` and on of the row. They go together,
// since what is one number for each of them, such as the largest value, its inverse and the scale,
// would take longer one by one than all the values do. Blocks beyond `blocks` are loaded as zeros
// and not stored.
void QuantizeFour(const float* x, size_t blocks, size_t first, const QuantizedRow& out) {
  const auto max = [](auto a, auto b) { return _mm_max_ps(a, b); };
  const auto add = [](auto a, auto b) { return _mm_add_ps(a, b); };
  const __mmask8 present = static_cast<__mmask8>((1u << blocks) - 1);
  __m512 v[4][2];
  __m128 part[4];
  for (size_t b = 0; b < 4; ++b) {
    for (size_t i = 0; i < 2; ++i) {
      v[b][i] = _mm512_maskz_loadu_ps(b < blocks ? 0xffff : 0, x + b * kQuantBlock + i * kWidth);
    }
    // vmaxps gives its second operand where one of the two is NaN, so that NaN leaves the maximum
    // as it is.
    __m512 most = _mm512_max_ps(_mm512_abs_ps(v[b][0]), _mm512_setzero_ps());
    most = _mm512_max_ps(_mm512_abs_ps(v[b][1]), most);
    const __m256 eight =
        _mm256_max_ps(_mm512_castps512_ps256(most), _mm512_extractf32x8_ps(most, 1));
    part[b] = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  }
  // Lane b of `amax`, and of all vectors of four below, belongs to block b.
  const __m128 amax = Across(part, max);
  // Blocks that are not all but zero. The others get the scale 0 and the codes 0 by the masks.
  const __mmask8 some = _mm_cmp_ps_mask(amax, _mm_set1_ps(1e-30f), _CMP_NLT_UQ);
  alignas(16) float inverse[2][4], scale[2][4];
  for (size_t m = 0; m < 2; ++m) {
    const __m128 top = _mm_set1_ps(kActivationMax[m]);
    _mm_store_ps(inverse[m], _mm_maskz_div_ps(some, top, amax));
    _mm_store_ps(scale[m], _mm_maskz_div_ps(some, amax, top));
  }
  __m512i code[4][2][2];  // [block][half][choice]
  for (size_t b = 0; b < 4; ++b) {
    __m512 more = _mm512_setzero_ps();  // error of the second choice than of the first
    for (size_t i = 0; i < 2; ++i) {
      const __mmask16 finite =
          _mm512_cmp_ps_mask(_mm512_abs_ps(v[b][i]), _mm512_set1_ps(__builtin_inff()), _CMP_LT_OQ);
      __m512 error[2];
      for (size_t m = 0; m < 2; ++m) {
        code[b][i][m] =
            _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(v[b][i], _mm512_set1_ps(inverse[m][b])));
        error[m] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(code[b][i][m]), _mm512_set1_ps(scale[m][b]),
                                    v[b][i]);
      }
      more = _mm512_fmadd_ps(error[1], error[1], _mm512_fnmadd_ps(error[0], error[0], more));
    }
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(more), _mm512_extractf32x8_ps(more, 1));
    part[b] = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  }
  const uint32_t better = _mm_cmp_ps_mask(Across(part, add), _mm_setzero_ps(), _CMP_LT_OQ);
  const __m128 step =
      _mm_mask_mov_ps(_mm_load_ps(scale[0]), static_cast<__mmask8>(better), _mm_load_ps(scale[1]));
  // Lane j of sums[b] is the sum of codes 4j to 4j + 3 of block b: vpdpbusd multiplies them by
  // ones.
  __m256i sums[4];  // of fours
  for (size_t b = 0; b < 4; ++b) {
    // All 16 lanes if bit b of `better` is set, none if not: no branch, as it could not be
    // foreseen.
    const auto choice = static_cast<__mmask16>(-(better >> b & 1));
    __m128i q[2];
    for (size_t i = 0; i < 2; ++i) {
      q[i] = _mm512_cvtepi32_epi8(_mm512_mask_mov_epi32(code[b][i][0], choice, code[b][i][1]));
    }
    const __m256i both = _mm256_set_m128i(q[1], q[0]);
    sums[b] = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), both);
    int8_t* const to = out.q + (first + b) * kQuantBlock;
    if (b < blocks) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), both);
  }
  const __m256i halves =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
  // Brings the first halves of four blocks and their second ones into the order of the blocks.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i sub = _mm256_permutevar8x32_epi32(halves, order);
  const __m128i sum =
      _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  const __m256 sub_step = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(step),
                                                   _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  const auto twice = static_cast<__mmask8>((1u << 2 * blocks) - 1);
  _mm_mask_storeu_ps(out.scale + first, present, step);
  _mm_mask_storeu_epi32(out.offset + first, present,
                        _mm_sub_epi32(_mm_setzero_si128(), _mm_slli_epi32(sum, 7)));
  _mm_mask_storeu_ps(out.sum + first, present, _mm_mul_ps(step, _mm_cvtepi32_ps(sum)));
  _mm256_mask_storeu_epi32(out.sub_offset + 2 * first, twice,
                           _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(sub, 7)));
  _mm256_mask_storeu_ps(out.sub_sum + 2 * first, twice,
                        _mm256_mul_ps(sub_step, _mm256_cvtepi32_ps(sub)));
}

void Quantize(const float* x, size_t k, const QuantizedRow& out) {
  const size_t blocks = k / kQuantBlock;
  for (size_t b = 0; b < blocks; b += 4) {
    QuantizeFour(x + b * kQuantBlock, blocks - b < 4 ? blocks - b : 4, b, out);
  }
}

// To nearest even; denormals become zeros of their sign, as the tile unit takes them for zero, and
// NaN stays NaN. avx2.cc explains the constants.
void ToBFloat16(const float* x, size_t k, uint16_t* bf16, float* f32) {
  for (size_t i = 0; i < k; i += kWidth) {
    const __mmask16 mask = First(k - i < kWidth ? k - i : kWidth);
    const __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i half = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    half = _mm512_mask_or_epi32(half, nan, bits, _mm512_set1_epi32(0x400000));
    const __mmask16 normal = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
    half = _mm512_mask_and_epi32(_mm512_and_si512(bits, _mm512_set1_epi32(INT32_MIN)), normal, half,
                                 _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
    _mm256_mask_storeu_epi16(bf16 + i, mask, _mm512_cvtepi32_epi16(_mm512_srli_epi32(half, 16)));
    _mm512_mask_storeu_ps(f32 + i, mask, _mm512_castsi512_ps(half));
  }
}

// Eight pairs at a time, for one head after the other, so that cs and sc are made once for all
// heads. The rotation is that of avx2.cc: vfmaddsubps gives a c - b s in even lanes, a s + b c in
// odd ones.
void Rope(float* x, size_t heads, size_t head_dim, const float* cos, const float* sin,
          size_t pairs) {
  const __m512i interleave =
      _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  for (size_t i = 0; i < pairs; i += 8) {
    const size_t left = pairs - i < 8 ? pairs - i : 8;
    const __mmask16 mask = First(2 * left);
    const __m512 c = _mm512_maskz_loadu_ps(First(left), cos + i);
    const __m512 s = _mm512_maskz_loadu_ps(First(left), sin + i);
    const __m512 cs = _mm512_permutex2var_ps(c, interleave, s);
    const __m512 sc = _mm512_permute_ps(cs, 0xb1);
    for (size_t h = 0; h < heads; ++h) {
      float* pair = x + h * head_dim + 2 * i;
      const __m512 v = _mm512_maskz_loadu_ps(mask, pair);
      const __m512 b = _mm512_mul_ps(_mm512_movehdup_ps(v), sc);
      _mm512_mask_storeu_ps(pair, mask, _mm512_fmaddsub_ps(_mm512_moveldup_ps(v), cs, b));
    }
  }
}

void ToHalf(const float* x, size_t n, uint16_t* y) {
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    // The rounding is in the instruction, so that it does not depend on MXCSR.
    const __m256i half = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, x + i),
                                         _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(y + i, mask, half);
  }
}

constexpr KernelTable kTable =
    KernelTableOf<Floats>("avx512", kMatMul.of, Quantize, ToBFloat16, Rope, ToHalf, Attention);

}  // namespace
}  // namespace avx512

const KernelTable& Avx512Kernels() { return avx512::kTable; }

}  // namespace lockstep

#endif  // __x86_64__
