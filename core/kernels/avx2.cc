// The kernels for AVX2 + FMA + F16C: 16 virtual lanes are two registers. Same functions, same
// order of operations as scalar.cc.
#if defined(__x86_64__)

#include <immintrin.h>

#include "core/kernels/exp_constants.h"
#include "core/kernels/kernels.h"

namespace lockstep {
namespace avx2 {
namespace {

constexpr size_t kWidth = 8;  // floats in a register

__m256 Exp(__m256 x) {
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

float AddLanes(__m256 low, __m256 high) {
  const __m256 eight = _mm256_add_ps(low, high);
  __m128 v = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}

float MaxLanes(__m256 x) {
  __m128 v = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  v = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
}

__m256 LoadHalf(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// Rows [8 * half, 8 * half + 8) of a float panel at column k.
template <WeightType type>
__m256 LoadWeights(const uint8_t* panel, size_t k, size_t half) {
  const size_t i = k * kPanelRows + half * kWidth;
  if constexpr (type == WeightType::kF32) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(panel) + i);
  } else {
    const uint16_t* p = reinterpret_cast<const uint16_t*>(panel) + i;
    if constexpr (type == WeightType::kF16) return LoadHalf(p);
    const __m256i wide =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
}

// P panels times C columns. P * C = 4 keeps eight chains of fma going, which is what hides its
// latency of four cycles at two a cycle.
template <WeightType type, size_t P, size_t C>
void FloatTile(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first,
               float* y, size_t ldy) {
  __m256 acc[P][C][2];
  for (auto& panel : acc) {
    for (auto& column : panel) column[0] = column[1] = _mm256_setzero_ps();
  }
  for (size_t k = 0; k < x.k; ++k) {
    for (size_t p = 0; p < P; ++p) {
      const __m256 w0 = LoadWeights<type>(w + p * panel_bytes, k, 0);
      const __m256 w1 = LoadWeights<type>(w + p * panel_bytes, k, 1);
      for (size_t c = 0; c < C; ++c) {
        const __m256 v = _mm256_broadcast_ss(x.f32 + (first + c) * x.stride + k);
        acc[p][c][0] = _mm256_fmadd_ps(w0, v, acc[p][c][0]);
        acc[p][c][1] = _mm256_fmadd_ps(w1, v, acc[p][c][1]);
      }
    }
  }
  for (size_t p = 0; p < P; ++p) {
    for (size_t c = 0; c < C; ++c) {
      float* to = y + (first + c) * ldy + p * kPanelRows;
      _mm256_storeu_ps(to, acc[p][c][0]);
      _mm256_storeu_ps(to + kWidth, acc[p][c][1]);
    }
  }
}

template <WeightType type>
void MatMulFloat(const uint8_t* w, size_t panels, const ActivationView& x, size_t first, size_t n,
                 float* y, size_t ldy) {
  const size_t panel_bytes = PanelBytes(type, x.k), end = first + n, fours = first + n / 4 * 4;
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = first; c < fours; c += 4) {
      FloatTile<type, 1, 4>(w + p * panel_bytes, panel_bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
  for (size_t c = fours; c < end; ++c) {
    size_t p = 0;
    for (; p + 4 <= panels; p += 4) {
      FloatTile<type, 4, 1>(w + p * panel_bytes, panel_bytes, x, c, y + p * kPanelRows, ldy);
    }
    for (; p < panels; ++p) {
      FloatTile<type, 1, 1>(w + p * panel_bytes, panel_bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
}

__m256i LoadInts(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

__m256i BroadcastFour(const int8_t* p) {
  return _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(p)));
}

// The integer sums of one block: sum[c][half] for 8 rows each.
template <WeightType type, size_t C>
void BlockSums(const uint8_t* codes, const int8_t* const* q, const int32_t* x_sum,
               __m256i (&sum)[C][2]) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (auto& s : sum) s[0] = s[1] = _mm256_setzero_si256();
  if constexpr (type == WeightType::kQ8_0) {
    // vpmaddubsw wants one unsigned side: |w| times x with w's sign; 2 * 128 * 127 fits 16 bits.
    for (size_t j = 0; j < 8; ++j) {
      for (size_t half = 0; half < 2; ++half) {
        const __m256i w = LoadInts(codes + j * 64 + half * 32);
        const __m256i magnitude = _mm256_abs_epi8(w);
        for (size_t c = 0; c < C; ++c) {
          const __m256i v = _mm256_sign_epi8(BroadcastFour(q[c] + 4 * j), w);
          const __m256i product = _mm256_maddubs_epi16(magnitude, v);
          sum[c][half] = _mm256_add_epi32(sum[c][half], _mm256_madd_epi16(product, ones));
        }
      }
    }
  } else {
    // Codes 0 to 15 are unsigned as they are: 8 * 2 * 15 * 127 still fits 16 bits, so a block is
    // summed in 16 bits; the -8 of every code is taken off through the sum of the block's x.
    const __m256i low = _mm256_set1_epi8(15);
    for (size_t j = 0; j < 4; ++j) {
      for (size_t half = 0; half < 2; ++half) {
        const __m256i w = LoadInts(codes + j * 64 + half * 32);
        const __m256i w0 = _mm256_and_si256(w, low);
        const __m256i w1 = _mm256_and_si256(_mm256_srli_epi16(w, 4), low);
        for (size_t c = 0; c < C; ++c) {
          const __m256i p0 = _mm256_maddubs_epi16(w0, BroadcastFour(q[c] + 8 * j));
          const __m256i p1 = _mm256_maddubs_epi16(w1, BroadcastFour(q[c] + 8 * j + 4));
          sum[c][half] = _mm256_add_epi16(sum[c][half], _mm256_add_epi16(p0, p1));
        }
      }
    }
    for (size_t c = 0; c < C; ++c) {
      const __m256i offset = _mm256_set1_epi32(8 * x_sum[c]);
      for (__m256i& s : sum[c]) s = _mm256_sub_epi32(_mm256_madd_epi16(s, ones), offset);
    }
  }
}

template <WeightType type, size_t C>
void QuantisedTile(const uint8_t* panel, const ActivationView& x, size_t first, float* y,
                   size_t ldy) {
  constexpr size_t kBlockBytes = kPanelRows * (type == WeightType::kQ8_0 ? 34 : 18);
  const size_t blocks = x.k / kQuantBlock;
  __m256 acc[C][2];
  for (auto& a : acc) a[0] = a[1] = _mm256_setzero_ps();
  for (size_t b = 0; b < blocks; ++b, panel += kBlockBytes) {
    const int8_t* q[C];
    int32_t x_sum[C];
    for (size_t c = 0; c < C; ++c) {
      q[c] = x.q + (first + c) * x.k + b * kQuantBlock;
      x_sum[c] = x.sum[(first + c) * blocks + b];
    }
    __m256i sum[C][2];
    BlockSums<type, C>(panel + 2 * kPanelRows, q, x_sum, sum);
    const uint16_t* scales = reinterpret_cast<const uint16_t*>(panel);
    const __m256 scale[2] = {LoadHalf(scales), LoadHalf(scales + kWidth)};
    for (size_t c = 0; c < C; ++c) {
      const __m256 dx = _mm256_broadcast_ss(x.scale + (first + c) * blocks + b);
      for (size_t half = 0; half < 2; ++half) {
        acc[c][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[c][half]),
                                       _mm256_mul_ps(scale[half], dx), acc[c][half]);
      }
    }
  }
  for (size_t c = 0; c < C; ++c) {
    _mm256_storeu_ps(y + (first + c) * ldy, acc[c][0]);
    _mm256_storeu_ps(y + (first + c) * ldy + kWidth, acc[c][1]);
  }
}

template <WeightType type>
void MatMulQuantised(const uint8_t* w, size_t panels, const ActivationView& x, size_t first,
                     size_t n, float* y, size_t ldy) {
  const size_t panel_bytes = PanelBytes(type, x.k);
  for (size_t p = 0; p < panels; ++p, w += panel_bytes, y += kPanelRows) {
    size_t c = first;
    for (; c + 4 <= first + n; c += 4) QuantisedTile<type, 4>(w, x, c, y, ldy);
    for (; c < first + n; ++c) QuantisedTile<type, 1>(w, x, c, y, ldy);
  }
}

void Quantize(const float* x, size_t k, int8_t* q, float* scale, int32_t* sum) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (size_t b = 0; b < k / kQuantBlock; ++b, x += kQuantBlock, q += kQuantBlock) {
    __m256 v[4], max = _mm256_setzero_ps();
    for (size_t i = 0; i < 4; ++i) {
      v[i] = _mm256_loadu_ps(x + i * kWidth);
      max = _mm256_max_ps(_mm256_and_ps(v[i], magnitude), max);
    }
    const float amax = MaxLanes(max);
    const bool zero = amax < 1e-30f;
    const __m256 inverse = _mm256_set1_ps(zero ? 0.0f : 127.0f / amax);
    scale[b] = zero ? 0.0f : amax / 127.0f;
    __m256i code[4], total = _mm256_setzero_si256();
    for (size_t i = 0; i < 4; ++i) {
      const __m256 scaled = _mm256_mul_ps(v[i], inverse);
      const __m256 number = _mm256_cmp_ps(scaled, scaled, _CMP_ORD_Q);
      code[i] = _mm256_cvtps_epi32(_mm256_and_ps(scaled, number));
      total = _mm256_add_epi32(total, code[i]);
    }
    __m128i t = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
    t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4e));
    sum[b] = _mm_cvtsi128_si32(_mm_add_epi32(t, _mm_shuffle_epi32(t, 0xb1)));
    // The packs work within 128-bit halves; the permutation puts the groups of four in order.
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]),
                                              _mm256_packs_epi32(code[2], code[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm256_permutevar8x32_epi32(packed, order));
  }
}

void RmsNorm(const float* x, const float* w, size_t n, float eps, float* y) {
  alignas(32) float lane[kLanes];
  __m256 low = _mm256_setzero_ps(), high = low;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + kWidth);
    low = _mm256_fmadd_ps(a, a, low);
    high = _mm256_fmadd_ps(b, b, high);
  }
  _mm256_store_ps(lane, low);
  _mm256_store_ps(lane + kWidth, high);
  for (size_t j = i; j < n; ++j) lane[j - i] = __builtin_fmaf(x[j], x[j], lane[j - i]);
  const float mean =
      AddLanes(_mm256_load_ps(lane), _mm256_load_ps(lane + kWidth)) / static_cast<float>(n);
  const float inverse = 1.0f / __builtin_sqrtf(mean + eps);
  const __m256 by = _mm256_set1_ps(inverse);
  for (i = 0; i + kWidth <= n; i += kWidth) {
    _mm256_storeu_ps(
        y + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), by), _mm256_loadu_ps(w + i)));
  }
  for (; i < n; ++i) y[i] = (x[i] * inverse) * w[i];
}

void Rope(float* x, size_t heads, size_t head_dim, const float* cos, const float* sin,
          size_t pairs) {
  for (size_t h = 0; h < heads; ++h, x += head_dim) {
    size_t i = 0;
    for (; i + 4 <= pairs; i += 4) {
      const __m128 c = _mm_loadu_ps(cos + i), s = _mm_loadu_ps(sin + i);
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

__m256 SiluMulEight(__m256 g, __m256 u) {
  const __m256 minus = _mm256_xor_ps(g, _mm256_set1_ps(-0.0f));
  const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), Exp(minus)));
  return _mm256_mul_ps(silu, u);
}

void SiluMul(const float* g, const float* u, size_t n, float* y) {
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    _mm256_storeu_ps(y + i, SiluMulEight(_mm256_loadu_ps(g + i), _mm256_loadu_ps(u + i)));
  }
  if (i == n) return;
  float last_g[kWidth] = {}, last_u[kWidth] = {};
  for (size_t j = i; j < n; ++j) last_g[j - i] = g[j], last_u[j - i] = u[j];
  _mm256_storeu_ps(last_g, SiluMulEight(_mm256_loadu_ps(last_g), _mm256_loadu_ps(last_u)));
  for (size_t j = i; j < n; ++j) y[j] = last_g[j - i];
}

void Add(const float* x, size_t n, float* y) {
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
  }
  for (; i < n; ++i) y[i] += x[i];
}

void ToHalf(const float* x, size_t n, uint16_t* y) {
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

constexpr size_t kScoreRegisters = kAttentionBlock / kWidth;

// Scaled scores of the block of positions at `begin`; -infinity beyond the length. Key groups that
// begin beyond the length are not read.
void Scores(const AttentionJob& job, const float* q, size_t begin, __m256 (&s)[kScoreRegisters]) {
  const size_t left = job.length - begin;
  const size_t groups =
      left >= kAttentionBlock ? kAttentionBlock / kKeyGroup : (left + kKeyGroup - 1) / kKeyGroup;
  const size_t group_size = kKeyGroup * job.head_dim;
  const uint16_t* keys = job.keys + begin * job.head_dim;
  for (__m256& v : s) v = _mm256_setzero_ps();
  if (groups == kAttentionBlock / kKeyGroup) {
    for (size_t d = 0; d < job.head_dim; ++d) {
      const __m256 v = _mm256_broadcast_ss(q + d);
      for (size_t i = 0; i < kScoreRegisters; ++i) {
        const uint16_t* key = keys + i / 2 * group_size + d * kKeyGroup + i % 2 * kWidth;
        s[i] = _mm256_fmadd_ps(v, LoadHalf(key), s[i]);
      }
    }
  } else {
    for (size_t g = 0; g < groups; ++g) {
      for (size_t d = 0; d < job.head_dim; ++d) {
        const __m256 v = _mm256_broadcast_ss(q + d);
        const uint16_t* key = keys + g * group_size + d * kKeyGroup;
        s[2 * g] = _mm256_fmadd_ps(v, LoadHalf(key), s[2 * g]);
        s[2 * g + 1] = _mm256_fmadd_ps(v, LoadHalf(key + kWidth), s[2 * g + 1]);
      }
    }
  }
  const __m256 scale = _mm256_set1_ps(job.scale);
  const __m256 infinity = _mm256_set1_ps(-__builtin_inff());
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i count = _mm256_set1_epi32(static_cast<int>(left < kAttentionBlock ? left : 64));
  for (size_t i = 0; i < kScoreRegisters; ++i) {
    const __m256i j = _mm256_add_epi32(index, _mm256_set1_epi32(static_cast<int>(i * kWidth)));
    const __m256 valid = _mm256_castsi256_ps(_mm256_cmpgt_epi32(count, j));
    s[i] = _mm256_blendv_ps(infinity, _mm256_mul_ps(s[i], scale), valid);
  }
}

// out[d] = out[d] * c, then fma(p[j], value[j][d], out[d]) for j < n; N registers of d at a time.
template <size_t N>
void AddValues(const float* p, size_t n, const uint16_t* values, size_t head_dim, float c,
               float* out) {
  __m256 o[N];
  const __m256 by = _mm256_set1_ps(c);
  for (size_t i = 0; i < N; ++i) o[i] = _mm256_mul_ps(_mm256_loadu_ps(out + i * kWidth), by);
  for (size_t j = 0; j < n; ++j, values += head_dim) {
    const __m256 v = _mm256_broadcast_ss(p + j);
    for (size_t i = 0; i < N; ++i) o[i] = _mm256_fmadd_ps(v, LoadHalf(values + i * kWidth), o[i]);
  }
  for (size_t i = 0; i < N; ++i) _mm256_storeu_ps(out + i * kWidth, o[i]);
}

void AttentionHead(const AttentionJob& job, const float* q, float* out) {
  float m = -__builtin_inff();
  __m256 low = _mm256_setzero_ps(), high = low;
  for (size_t d = 0; d < job.head_dim; ++d) out[d] = 0.0f;
  for (size_t begin = 0; begin < job.length; begin += kAttentionBlock) {
    __m256 s[kScoreRegisters];
    Scores(job, q, begin, s);
    __m256 max = _mm256_set1_ps(m);
    for (const __m256& v : s) max = _mm256_max_ps(v, max);
    const float block_max = MaxLanes(max);
    const __m256 shift = _mm256_set1_ps(block_max);
    const float c = _mm256_cvtss_f32(Exp(_mm256_set1_ps(m - block_max)));
    m = block_max;
    low = _mm256_mul_ps(low, _mm256_set1_ps(c));
    high = _mm256_mul_ps(high, _mm256_set1_ps(c));
    alignas(32) float p[kAttentionBlock];
    for (size_t i = 0; i < kScoreRegisters; i += 2) {
      const __m256 p0 = Exp(_mm256_sub_ps(s[i], shift));
      const __m256 p1 = Exp(_mm256_sub_ps(s[i + 1], shift));
      low = _mm256_add_ps(low, p0);
      high = _mm256_add_ps(high, p1);
      _mm256_store_ps(p + i * kWidth, p0);
      _mm256_store_ps(p + (i + 1) * kWidth, p1);
    }
    const size_t left = job.length - begin, n = left < kAttentionBlock ? left : kAttentionBlock;
    const uint16_t* values = job.values + begin * job.head_dim;
    size_t d = 0;
    for (; d + 8 * kWidth <= job.head_dim; d += 8 * kWidth) {
      AddValues<8>(p, n, values + d, job.head_dim, c, out + d);
    }
    for (; d + kWidth <= job.head_dim; d += kWidth) {
      AddValues<1>(p, n, values + d, job.head_dim, c, out + d);
    }
    for (; d < job.head_dim; ++d) {
      out[d] *= c;
      for (size_t j = 0; j < n; ++j) {
        out[d] = __builtin_fmaf(p[j], _cvtsh_ss(values[j * job.head_dim + d]), out[d]);
      }
    }
  }
  const float total = AddLanes(low, high);
  for (size_t d = 0; d < job.head_dim; ++d) out[d] /= total;
}

void Attention(const AttentionJob& job) {
  for (size_t h = 0; h < job.heads; ++h) {
    AttentionHead(job, job.q + h * job.head_dim, job.out + h * job.head_dim);
  }
}

}  // namespace
}  // namespace avx2

const KernelTable& Avx2Kernels() {
  static constexpr KernelTable kTable = {
      .isa = "avx2",
      .matmul = {avx2::MatMulFloat<WeightType::kF32>, avx2::MatMulFloat<WeightType::kF16>,
                 avx2::MatMulFloat<WeightType::kBF16>, avx2::MatMulQuantised<WeightType::kQ8_0>,
                 avx2::MatMulQuantised<WeightType::kQ4_0>},
      .quantize = avx2::Quantize,
      .rms_norm = avx2::RmsNorm,
      .rope = avx2::Rope,
      .silu_mul = avx2::SiluMul,
      .add = avx2::Add,
      .to_half = avx2::ToHalf,
      .attention = avx2::Attention,
  };
  return kTable;
}

}  // namespace lockstep

#endif  // __x86_64__
