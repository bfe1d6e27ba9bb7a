// The element-wise kernels for AVX-512: same functions, same order of operations as scalar.cc.
#if defined(__x86_64__)

#include "core/kernels/avx512.h"

namespace lockstep {
namespace avx512 {
namespace {

void Quantize(const float* x, size_t k, const QuantisedRow& out) {
  for (size_t b = 0; b < k / kQuantBlock; ++b, x += kQuantBlock) {
    const __m512 v[2] = {_mm512_loadu_ps(x), _mm512_loadu_ps(x + kWidth)};
    __m512 max = _mm512_max_ps(_mm512_abs_ps(v[0]), _mm512_setzero_ps());
    max = _mm512_max_ps(_mm512_abs_ps(v[1]), max);
    const float amax = MaxLanes(max);
    const bool zero = amax < 1e-30f;
    const __m512 inverse = _mm512_set1_ps(zero ? 0.0f : kActivationMax / amax);
    const float scale = zero ? 0.0f : amax / kActivationMax;
    int32_t sum[2];
    for (size_t i = 0; i < 2; ++i) {
      const __m512 scaled = _mm512_mul_ps(v[i], inverse);
      const __mmask16 number = _mm512_cmp_ps_mask(scaled, scaled, _CMP_ORD_Q);
      const __m512i code = _mm512_maskz_cvtps_epi32(number, scaled);
      sum[i] = _mm512_reduce_add_epi32(code);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out.q + b * kQuantBlock + i * kWidth),
                       _mm512_cvtepi32_epi8(code));
      out.sub_offset[2 * b + i] = -128 * sum[i];
      out.sub_sum[2 * b + i] = scale * static_cast<float>(sum[i]);
    }
    out.scale[b] = scale;
    out.offset[b] = -128 * (sum[0] + sum[1]);
    out.sum[b] = scale * static_cast<float>(sum[0] + sum[1]);
  }
}

// To nearest even; denormals to zero, and NaN stays NaN.
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

void RmsNorm(const float* x, const float* w, size_t n, float eps, float* y) {
  __m512 squares = _mm512_setzero_ps();
  for (size_t i = 0; i < n; i += kWidth) {
    const __m512 v = _mm512_maskz_loadu_ps(First(n - i < kWidth ? n - i : kWidth), x + i);
    squares = _mm512_fmadd_ps(v, v, squares);
  }
  const float mean = AddLanes(squares) / static_cast<float>(n);
  const __m512 inverse = _mm512_set1_ps(1.0f / __builtin_sqrtf(mean + eps));
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), inverse);
    _mm512_mask_storeu_ps(y + i, mask, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, w + i)));
  }
}

void LayerNorm(const float* x, const float* w, const float* b, size_t n, float eps, float* y) {
  __m512 sum = _mm512_setzero_ps(), squares = sum;
  for (size_t i = 0; i < n; i += kWidth) {
    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(First(n - i < kWidth ? n - i : kWidth), x + i));
  }
  const __m512 mean = _mm512_set1_ps(AddLanes(sum) / static_cast<float>(n));
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m512 d = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, x + i), mean);
    squares = _mm512_fmadd_ps(d, d, squares);
  }
  const float variance = AddLanes(squares) / static_cast<float>(n);
  const __m512 inverse = _mm512_set1_ps(1.0f / __builtin_sqrtf(variance + eps));
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), mean);
    const __m512 v = _mm512_fmadd_ps(_mm512_mul_ps(d, inverse), _mm512_maskz_loadu_ps(mask, w + i),
                                     _mm512_maskz_loadu_ps(mask, b + i));
    _mm512_mask_storeu_ps(y + i, mask, v);
  }
}

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

void SiluMul(const float* g, const float* u, size_t n, float* y) {
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m512 v = _mm512_maskz_loadu_ps(mask, g + i);
    const __m512 silu = Gate(v, v);
    _mm512_mask_storeu_ps(y + i, mask, _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(mask, u + i)));
  }
}

void GeluMul(const float* g, const float* u, size_t n, float* y) {
  namespace c = exp_constants;
  const __m512 c0 = _mm512_set1_ps(c::kGelu0), c1 = _mm512_set1_ps(c::kGelu1);
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m512 v = _mm512_maskz_loadu_ps(mask, g + i);
    __m512 gelu = Gate(v, _mm512_mul_ps(v, _mm512_fmadd_ps(_mm512_mul_ps(v, v), c1, c0)));
    if (u != nullptr) gelu = _mm512_mul_ps(gelu, _mm512_maskz_loadu_ps(mask, u + i));
    _mm512_mask_storeu_ps(y + i, mask, gelu);
  }
}

void SoftCapAll(float cap, size_t n, float* y) {
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    _mm512_mask_storeu_ps(y + i, mask, SoftCap(_mm512_maskz_loadu_ps(mask, y + i), cap));
  }
}

void Add(const float* x, float by, size_t n, float* y) {
  const __m512 factor = _mm512_set1_ps(by);
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
    _mm512_mask_storeu_ps(y + i, mask,
                          _mm512_fmadd_ps(v, factor, _mm512_maskz_loadu_ps(mask, y + i)));
  }
}

void ToHalf(const float* x, size_t n, uint16_t* y) {
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m256i half = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, x + i),
                                         _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(y + i, mask, half);
  }
}

}  // namespace
}  // namespace avx512

const KernelTable& Avx512Kernels() {
  static constexpr KernelTable kTable = {
      .isa = "avx512",
      .matmul = avx512::kMatMul,
      .quantize = avx512::Quantize,
      .to_bfloat16 = avx512::ToBFloat16,
      .rms_norm = avx512::RmsNorm,
      .layer_norm = avx512::LayerNorm,
      .rope = avx512::Rope,
      .silu_mul = avx512::SiluMul,
      .gelu_mul = avx512::GeluMul,
      .soft_cap = avx512::SoftCapAll,
      .add = avx512::Add,
      .to_half = avx512::ToHalf,
      .attention = avx512::Attention,
  };
  return kTable;
}

}  // namespace lockstep

#endif  // __x86_64__
