// Attention for AVX2.
#if defined(__x86_64__)

#include "core/kernels/attention_walk.h"
#include "core/kernels/x86/avx2.h"

namespace lockstep::avx2 {
namespace {

constexpr size_t kParts = kAttentionBlock / kWidth;  // registers of scores

// The registers of attention_rows.h.
struct Registers {
  using Type = __m256;
  static constexpr size_t kWidth = avx2::kWidth;

  static __m256 Halves(const uint16_t* p, size_t in) {
    if (in == kWidth) return LoadHalf(p);
    uint16_t some[kWidth] = {};
    for (size_t i = 0; i < in; ++i) some[i] = p[i];
    return LoadHalf(some);
  }
  static __m256 Bytes(const int8_t* p, __m256 scale) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), scale);
  }
  static __m256 Everywhere(uint16_t half) {
    return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<int16_t>(half)));
  }
  static __m256 Load(const float* p) { return _mm256_load_ps(p); }
  static void Store(float* p, __m256 v) { _mm256_store_ps(p, v); }
};

// Unscaled scores of H queries for G key groups.
template <size_t H, size_t G, class Rows>
void Scores(const Rows& rows, const float* const (&q)[H], size_t head_dim, __m256 (&s)[H][kParts],
            size_t group) {
  __m256 acc[H][2 * G] = {};
  for (size_t d = 0; d < head_dim; ++d) {
    __m256 key[2 * G];
    for (size_t i = 0; i < 2 * G; ++i) key[i] = rows.Key(2 * group + i, d);
    for (size_t h = 0; h < H; ++h) {
      const __m256 v = _mm256_broadcast_ss(q[h] + d);
      for (size_t i = 0; i < 2 * G; ++i) acc[h][i] = _mm256_fmadd_ps(v, key[i], acc[h][i]);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t i = 0; i < 2 * G; ++i) s[h][2 * group + i] = acc[h][i];
  }
}

// o[h][d] = fma(p[h][j], value[j][d], o[h][d]) for begin <= j < end, where the registers of `out`
// from d are V whole ones, or one of which only the first `in` lanes are head_dim's.
template <size_t H, size_t V, class Rows>
void AddValues(const Rows& rows, const float* p, size_t begin, size_t end, size_t d, size_t in,
               const float (&c)[H], float* const (&out)[H]) {
  __m256 o[H][V];
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) {
      o[h][v] = _mm256_mul_ps(LoadFirst(out[h] + d + v * kWidth, in), _mm256_set1_ps(c[h]));
    }
  }
  for (size_t j = begin; j < end; ++j) {
    __m256 value[V];
    for (size_t v = 0; v < V; ++v) value[v] = rows.Value(j, d + v * kWidth, in);
    for (size_t h = 0; h < H; ++h) {
      const __m256 weight = _mm256_broadcast_ss(p + h * kAttentionBlock + j);
      for (size_t v = 0; v < V; ++v) o[h][v] = _mm256_fmadd_ps(weight, value[v], o[h][v]);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) StoreFirst(out[h] + d + v * kWidth, in, o[h][v]);
  }
}

// The step of the online softmax of one query: scores to p, and what is kept of it to m and lanes.
// Gives the factor of what was summed before.
float Softmax(const AttentionJob& job, __m256 (&score)[kParts], AttendedSpan span, float* m,
              float* lanes, float* p) {
  const __m256 scale = _mm256_set1_ps(job.scale), beyond = _mm256_set1_ps(-__builtin_inff());
  __m256 max = _mm256_set1_ps(*m);
  for (size_t i = 0; i < kParts; ++i) {
    const size_t from = i * kWidth;
    const __m256i in =
        _mm256_andnot_si256(First(Beyond(span.begin, from)), First(Beyond(span.end, from)));
    score[i] = _mm256_mul_ps(score[i], scale);
    if (job.soft_cap != 0) score[i] = SoftCap(score[i], job.soft_cap);
    score[i] = _mm256_blendv_ps(beyond, score[i], _mm256_castsi256_ps(in));
    max = _mm256_max_ps(score[i], max);
  }
  const __m256 block_max = _mm256_set1_ps(MaxLanes(max));
  const __m256 c = Exp(_mm256_sub_ps(_mm256_set1_ps(*m), block_max));
  *m = _mm256_cvtss_f32(block_max);
  __m256 l[2] = {_mm256_mul_ps(_mm256_load_ps(lanes), c),
                 _mm256_mul_ps(_mm256_load_ps(lanes + kWidth), c)};
  for (size_t i = 0; i < kParts; ++i) {
    const __m256 e = Exp(_mm256_sub_ps(score[i], block_max));
    l[i % 2] = _mm256_add_ps(l[i % 2], e);
    _mm256_store_ps(p + i * kWidth, e);
  }
  _mm256_store_ps(lanes, l[0]);
  _mm256_store_ps(lanes + kWidth, l[1]);
  return _mm256_cvtss_f32(c);
}

// What AttentionWalk asks for.
struct Isa {
  using Registers = avx2::Registers;

  template <size_t H, class Rows>
  static void Weigh(const AttentionJob& job, const Rows& rows, const AttentionScratch& s,
                    const float* const (&q)[H], const AttendedSpan (&span)[H], size_t n,
                    size_t slot, float (&c)[H]) {
    constexpr size_t kTogether = 4 / H;  // key groups; two registers each, so eight chains of fma
    __m256 score[H][kParts] = {};
    const size_t groups = (n + kKeyGroup - 1) / kKeyGroup;
    size_t g = 0;
    for (; g + kTogether <= groups; g += kTogether) {
      Scores<H, kTogether>(rows, q, job.head_dim, score, g);
    }
    for (; g < groups; ++g) Scores<H, 1>(rows, q, job.head_dim, score, g);
    for (size_t h = 0; h < H; ++h) {
      c[h] = Softmax(job, score[h], span[h], s.m + slot + h, s.lanes + (slot + h) * kLanes,
                     s.p + h * kAttentionBlock);
    }
  }

  // Eight chains of fma at a time hide its latency.
  template <size_t H, class Rows>
  static void AddValues(const Rows& rows, const float* p, size_t begin, size_t end, size_t head_dim,
                        const float (&c)[H], float* const (&out)[H]) {
    constexpr size_t kVectors = 8 / H;
    size_t d = 0;
    for (; d + kVectors * kWidth <= head_dim; d += kVectors * kWidth) {
      avx2::AddValues<H, kVectors>(rows, p, begin, end, d, kWidth, c, out);
    }
    for (; d < head_dim; d += kWidth) {
      avx2::AddValues<H, 1>(rows, p, begin, end, d, Least(kWidth, head_dim - d), c, out);
    }
  }

  static float SumLanes(const float* lanes) {
    return AddLanes(_mm256_load_ps(lanes), _mm256_load_ps(lanes + kWidth));
  }
};

}  // namespace

void Attention(const AttentionJob& job) { AttentionWalk<Isa>::Attend(job); }

}  // namespace lockstep::avx2

#endif  // __x86_64__
