// The kernels for AVX-512 (F, BW, DQ, VL, VNNI): 16 virtual lanes are one register. Same functions,
// same order of operations as scalar.cc.
#if defined(__x86_64__)

#include <immintrin.h>

#include "core/kernels/exp_constants.h"
#include "core/kernels/kernels.h"

namespace lockstep {
namespace avx512 {
namespace {

constexpr size_t kWidth = 16;  // floats in a register

// The first n lanes. REQUIRES: n <= 16.
__mmask16 First(size_t n) { return static_cast<__mmask16>((1u << n) - 1); }

__m512 Exp(__m512 x) {
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

float AddLanes(__m512 x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 v = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}

float MaxLanes(__m512 x) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 v = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  v = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
}

__m512 LoadHalf(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// Column k of a float panel.
template <WeightType type>
__m512 LoadWeights(const uint8_t* panel, size_t k) {
  if constexpr (type == WeightType::kF32) {
    return _mm512_loadu_ps(reinterpret_cast<const float*>(panel) + k * kPanelRows);
  } else {
    const uint16_t* p = reinterpret_cast<const uint16_t*>(panel) + k * kPanelRows;
    if constexpr (type == WeightType::kF16) return LoadHalf(p);
    const __m512i wide =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
}

// P panels times C columns: P * C chains of fma hide its latency of four cycles at two a cycle.
template <WeightType type, size_t P, size_t C>
void FloatTile(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first,
               float* y, size_t ldy) {
  __m512 acc[P][C];
  for (auto& panel : acc) {
    for (__m512& a : panel) a = _mm512_setzero_ps();
  }
  for (size_t k = 0; k < x.k; ++k) {
    for (size_t p = 0; p < P; ++p) {
      const __m512 v = LoadWeights<type>(w + p * panel_bytes, k);
      for (size_t c = 0; c < C; ++c) {
        acc[p][c] =
            _mm512_fmadd_ps(v, _mm512_set1_ps(x.f32[(first + c) * x.stride + k]), acc[p][c]);
      }
    }
  }
  for (size_t p = 0; p < P; ++p) {
    for (size_t c = 0; c < C; ++c) {
      _mm512_storeu_ps(y + (first + c) * ldy + p * kPanelRows, acc[p][c]);
    }
  }
}

template <WeightType type>
void MatMulFloat(const uint8_t* w, size_t panels, const ActivationView& x, size_t first, size_t n,
                 float* y, size_t ldy) {
  const size_t panel_bytes = PanelBytes(type, x.k), end = first + n, eights = first + n / 8 * 8;
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = first; c < eights; c += 8) {
      FloatTile<type, 1, 8>(w + p * panel_bytes, panel_bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
  for (size_t c = eights; c < end; ++c) {
    size_t p = 0;
    for (; p + 8 <= panels; p += 8) {
      FloatTile<type, 8, 1>(w + p * panel_bytes, panel_bytes, x, c, y + p * kPanelRows, ldy);
    }
    for (; p < panels; ++p) {
      FloatTile<type, 1, 1>(w + p * panel_bytes, panel_bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
}

__m512i BroadcastFour(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm512_set1_epi32(four);
}

// One panel times C columns. vpdpbusd multiplies unsigned by signed: the weights are biased to be
// unsigned (Q8_0 by 128; Q4_0's codes by 8 as they are), and each sum starts at what the bias adds.
template <WeightType type, size_t C>
void QuantisedTile(const uint8_t* panel, const ActivationView& x, size_t first, float* y,
                   size_t ldy) {
  constexpr bool kIsQ8 = type == WeightType::kQ8_0;
  constexpr size_t kBlockBytes = kPanelRows * (kIsQ8 ? 34 : 18);
  const size_t blocks = x.k / kQuantBlock;
  __m512 acc[C];
  for (__m512& a : acc) a = _mm512_setzero_ps();
  for (size_t b = 0; b < blocks; ++b, panel += kBlockBytes) {
    const uint8_t* codes = panel + 2 * kPanelRows;
    const int8_t* q[C];
    __m512i sum[C];
    for (size_t c = 0; c < C; ++c) {
      q[c] = x.q + (first + c) * x.k + b * kQuantBlock;
      sum[c] = _mm512_set1_epi32((kIsQ8 ? -128 : -8) * x.sum[(first + c) * blocks + b]);
    }
    if constexpr (kIsQ8) {
      for (size_t j = 0; j < 8; ++j) {
        const __m512i w =
            _mm512_xor_si512(_mm512_loadu_si512(codes + j * 64), _mm512_set1_epi8(-128));
        for (size_t c = 0; c < C; ++c) {
          sum[c] = _mm512_dpbusd_epi32(sum[c], w, BroadcastFour(q[c] + 4 * j));
        }
      }
    } else {
      for (size_t j = 0; j < 4; ++j) {
        const __m512i w = _mm512_loadu_si512(codes + j * 64), low = _mm512_set1_epi8(15);
        const __m512i w0 = _mm512_and_si512(w, low);
        const __m512i w1 = _mm512_and_si512(_mm512_srli_epi16(w, 4), low);
        for (size_t c = 0; c < C; ++c) {
          sum[c] = _mm512_dpbusd_epi32(sum[c], w0, BroadcastFour(q[c] + 8 * j));
          sum[c] = _mm512_dpbusd_epi32(sum[c], w1, BroadcastFour(q[c] + 8 * j + 4));
        }
      }
    }
    const __m512 dw = LoadHalf(reinterpret_cast<const uint16_t*>(panel));
    for (size_t c = 0; c < C; ++c) {
      const __m512 scale = _mm512_mul_ps(dw, _mm512_set1_ps(x.scale[(first + c) * blocks + b]));
      acc[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c]), scale, acc[c]);
    }
  }
  for (size_t c = 0; c < C; ++c) _mm512_storeu_ps(y + (first + c) * ldy, acc[c]);
}

template <WeightType type>
void MatMulQuantised(const uint8_t* w, size_t panels, const ActivationView& x, size_t first,
                     size_t n, float* y, size_t ldy) {
  const size_t panel_bytes = PanelBytes(type, x.k);
  for (size_t p = 0; p < panels; ++p, w += panel_bytes, y += kPanelRows) {
    size_t c = first;
    for (; c + 8 <= first + n; c += 8) QuantisedTile<type, 8>(w, x, c, y, ldy);
    for (; c + 2 <= first + n; c += 2) QuantisedTile<type, 2>(w, x, c, y, ldy);
    for (; c < first + n; ++c) QuantisedTile<type, 1>(w, x, c, y, ldy);
  }
}

void Quantize(const float* x, size_t k, int8_t* q, float* scale, int32_t* sum) {
  for (size_t b = 0; b < k / kQuantBlock; ++b, x += kQuantBlock, q += kQuantBlock) {
    const __m512 v[2] = {_mm512_loadu_ps(x), _mm512_loadu_ps(x + kWidth)};
    __m512 max = _mm512_max_ps(_mm512_abs_ps(v[0]), _mm512_setzero_ps());
    max = _mm512_max_ps(_mm512_abs_ps(v[1]), max);
    const float amax = MaxLanes(max);
    const bool zero = amax < 1e-30f;
    const __m512 inverse = _mm512_set1_ps(zero ? 0.0f : 127.0f / amax);
    scale[b] = zero ? 0.0f : amax / 127.0f;
    __m512i total = _mm512_setzero_si512();
    for (size_t i = 0; i < 2; ++i) {
      const __m512 scaled = _mm512_mul_ps(v[i], inverse);
      const __mmask16 number = _mm512_cmp_ps_mask(scaled, scaled, _CMP_ORD_Q);
      const __m512i code = _mm512_maskz_cvtps_epi32(number, scaled);
      total = _mm512_add_epi32(total, code);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(q + i * kWidth), _mm512_cvtepi32_epi8(code));
    }
    sum[b] = _mm512_reduce_add_epi32(total);
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
    const __m512 minus = _mm512_xor_ps(v, _mm512_set1_ps(-0.0f));
    const __m512 silu = _mm512_div_ps(v, _mm512_add_ps(_mm512_set1_ps(1.0f), Exp(minus)));
    _mm512_mask_storeu_ps(y + i, mask, _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(mask, u + i)));
  }
}

void Add(const float* x, size_t n, float* y) {
  for (size_t i = 0; i < n; i += kWidth) {
    const __mmask16 mask = First(n - i < kWidth ? n - i : kWidth);
    const __m512 v = _mm512_maskz_loadu_ps(mask, y + i);
    _mm512_mask_storeu_ps(y + i, mask, _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, x + i)));
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

constexpr size_t kScoreRegisters = kAttentionBlock / kWidth;

// Scaled scores of H heads for the block of positions at `begin`; -infinity beyond the length. Key
// groups that begin beyond the length are not read.
template <size_t H>
void Scores(const AttentionJob& job, const float* q, size_t begin,
            __m512 (&s)[H][kScoreRegisters]) {
  const size_t left = job.length - begin, group_size = kKeyGroup * job.head_dim;
  const uint16_t* keys = job.keys + begin * job.head_dim;
  for (auto& head : s) {
    for (__m512& v : head) v = _mm512_setzero_ps();
  }
  if (left > kAttentionBlock - kKeyGroup) {  // all four groups, side by side
    for (size_t d = 0; d < job.head_dim; ++d) {
      __m512 key[kScoreRegisters];
      for (size_t i = 0; i < kScoreRegisters; ++i) {
        key[i] = LoadHalf(keys + i * group_size + d * kKeyGroup);
      }
      for (size_t h = 0; h < H; ++h) {
        const __m512 v = _mm512_set1_ps(q[h * job.head_dim + d]);
        for (size_t i = 0; i < kScoreRegisters; ++i) s[h][i] = _mm512_fmadd_ps(v, key[i], s[h][i]);
      }
    }
  } else {
    for (size_t i = 0; i * kKeyGroup < left; ++i) {
      for (size_t d = 0; d < job.head_dim; ++d) {
        const __m512 key = LoadHalf(keys + i * group_size + d * kKeyGroup);
        for (size_t h = 0; h < H; ++h) {
          s[h][i] = _mm512_fmadd_ps(_mm512_set1_ps(q[h * job.head_dim + d]), key, s[h][i]);
        }
      }
    }
  }
  const __m512 scale = _mm512_set1_ps(job.scale), beyond = _mm512_set1_ps(-__builtin_inff());
  for (size_t i = 0; i < kScoreRegisters; ++i) {
    const size_t from = i * kWidth, n = left <= from           ? 0
                                        : left - from < kWidth ? left - from
                                                               : kWidth;
    for (size_t h = 0; h < H; ++h) s[h][i] = _mm512_mask_mul_ps(beyond, First(n), s[h][i], scale);
  }
}

// out[h][d] = out[h][d] * c[h], then fma(p[h][j], value[j][d], out[h][d]) for j < n; 16 of d at a
// time, those in `mask`.
template <size_t H>
void AddValues(const float (&p)[H][kAttentionBlock], size_t n, const uint16_t* values,
               size_t head_dim, const float (&c)[H], __mmask16 mask, float* out) {
  __m512 o[H];
  for (size_t h = 0; h < H; ++h) {
    o[h] = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, out + h * head_dim), _mm512_set1_ps(c[h]));
  }
  for (size_t j = 0; j < n; ++j, values += head_dim) {
    const __m512 v = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, values));
    for (size_t h = 0; h < H; ++h) o[h] = _mm512_fmadd_ps(_mm512_set1_ps(p[h][j]), v, o[h]);
  }
  for (size_t h = 0; h < H; ++h) _mm512_mask_storeu_ps(out + h * head_dim, mask, o[h]);
}

// H heads together: they share the loads of keys and values.
template <size_t H>
void AttentionHeads(const AttentionJob& job, const float* q, float* out) {
  float m[H], c[H];
  __m512 lanes[H];
  for (size_t h = 0; h < H; ++h) m[h] = -__builtin_inff(), lanes[h] = _mm512_setzero_ps();
  for (size_t i = 0; i < H * job.head_dim; ++i) out[i] = 0.0f;
  for (size_t begin = 0; begin < job.length; begin += kAttentionBlock) {
    __m512 s[H][kScoreRegisters];
    Scores<H>(job, q, begin, s);
    alignas(64) float p[H][kAttentionBlock];
    for (size_t h = 0; h < H; ++h) {
      __m512 max = _mm512_set1_ps(m[h]);
      for (const __m512& v : s[h]) max = _mm512_max_ps(v, max);
      const float block_max = MaxLanes(max);
      c[h] = _mm512_cvtss_f32(Exp(_mm512_set1_ps(m[h] - block_max)));
      m[h] = block_max;
      lanes[h] = _mm512_mul_ps(lanes[h], _mm512_set1_ps(c[h]));
      for (size_t i = 0; i < kScoreRegisters; ++i) {
        const __m512 e = Exp(_mm512_sub_ps(s[h][i], _mm512_set1_ps(block_max)));
        lanes[h] = _mm512_add_ps(lanes[h], e);
        _mm512_store_ps(p[h] + i * kWidth, e);
      }
    }
    const size_t left = job.length - begin, n = left < kAttentionBlock ? left : kAttentionBlock;
    for (size_t d = 0; d < job.head_dim; d += kWidth) {
      const size_t width = job.head_dim - d < kWidth ? job.head_dim - d : kWidth;
      AddValues<H>(p, n, job.values + begin * job.head_dim + d, job.head_dim, c, First(width),
                   out + d);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    const float total = AddLanes(lanes[h]);
    for (size_t d = 0; d < job.head_dim; ++d) out[h * job.head_dim + d] /= total;
  }
}

void Attention(const AttentionJob& job) {
  size_t h = 0;
  for (; h + 4 <= job.heads; h += 4) {
    AttentionHeads<4>(job, job.q + h * job.head_dim, job.out + h * job.head_dim);
  }
  for (; h < job.heads; ++h) {
    AttentionHeads<1>(job, job.q + h * job.head_dim, job.out + h * job.head_dim);
  }
}

}  // namespace
}  // namespace avx512

const KernelTable& Avx512Kernels() {
  static constexpr KernelTable kTable = {
      .isa = "avx512",
      .matmul = {avx512::MatMulFloat<WeightType::kF32>, avx512::MatMulFloat<WeightType::kF16>,
                 avx512::MatMulFloat<WeightType::kBF16>, avx512::MatMulQuantised<WeightType::kQ8_0>,
                 avx512::MatMulQuantised<WeightType::kQ4_0>},
      .quantize = avx512::Quantize,
      .rms_norm = avx512::RmsNorm,
      .rope = avx512::Rope,
      .silu_mul = avx512::SiluMul,
      .add = avx512::Add,
      .to_half = avx512::ToHalf,
      .attention = avx512::Attention,
  };
  return kTable;
}

}  // namespace lockstep

#endif  // __x86_64__
