// Attention for AVX-512.
#if defined(__x86_64__)

#include "core/kernels/attention_walk.h"
#include "core/kernels/x86/avx512.h"

namespace lockstep::avx512 {
namespace {

constexpr size_t kGroups = kAttentionBlock / kKeyGroup;  // registers of scores

// The registers of attention_rows.h.
struct Registers {
  using Type = __m512;
  static constexpr size_t kWidth = avx512::kWidth;

  static __m512 Halves(const uint16_t* p, size_t in) {
    if (in == kWidth) return LoadHalf(p);
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(First(in), p));
  }
  static __m512 Bytes(const int8_t* p, __m512 scale) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), scale);
  }
  static __m512 Everywhere(uint16_t half) {
    return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<int16_t>(half)));
  }
  static __m512 Load(const float* p) { return _mm512_load_ps(p); }
  static void Store(float* p, __m512 v) { _mm512_store_ps(p, v); }
};

// Unscaled scores of H queries for G key groups.
template <size_t H, size_t G, class Rows>
[[gnu::noinline]] void Scores(const Rows& rows, const float* const (&q)[H], size_t head_dim,
                              __m512 (&s)[H][kGroups], size_t group) {
  __m512 acc[H][G] = {};
  for (size_t d = 0; d < head_dim; ++d) {
    __m512 key[G];
    for (size_t g = 0; g < G; ++g) key[g] = rows.Key(group + g, d);
    for (size_t h = 0; h < H; ++h) {
      const __m512 v = _mm512_set1_ps(q[h][d]);
      for (size_t g = 0; g < G; ++g) acc[h][g] = _mm512_fmadd_ps(v, key[g], acc[h][g]);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t g = 0; g < G; ++g) s[h][group + g] = acc[h][g];
  }
}

// o[h][d] = fma(p[h][j], value[j][d], o[h][d]) for begin <= j < end, where the registers of `out`
// from d are V whole ones, or one of which only the first `given` lanes are head_dim's.
template <size_t H, size_t V, class Rows>
[[gnu::noinline]] void AddValues(const Rows& rows, const float* p, size_t begin, size_t end,
                                 size_t d, size_t given, const float (&c)[H],
                                 float* const (&out)[H]) {
  const size_t in = V > 1 ? kWidth : given;  // a constant for whole registers
  const __mmask16 mask = First(in);
  __m512 o[H][V];
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) {
      o[h][v] =
          _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, out[h] + d + v * kWidth), _mm512_set1_ps(c[h]));
    }
  }
  for (size_t j = begin; j < end; ++j) {
    __m512 value[V];
    for (size_t v = 0; v < V; ++v) value[v] = rows.Value(j, d + v * kWidth, in);
    for (size_t h = 0; h < H; ++h) {
      const __m512 weight = _mm512_set1_ps(p[h * kAttentionBlock + j]);
      for (size_t v = 0; v < V; ++v) o[h][v] = _mm512_fmadd_ps(weight, value[v], o[h][v]);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) _mm512_mask_storeu_ps(out[h] + d + v * kWidth, mask, o[h][v]);
  }
}

// The step of the online softmax of one query: scores to p, and what is kept of it to m and lanes.
// Gives the factor of what was summed before.
float Softmax(const AttentionJob& job, __m512 (&score)[kGroups], AttendedSpan span, float* m,
              float* lanes, float* p) {
  const __m512 scale = _mm512_set1_ps(job.scale), beyond = _mm512_set1_ps(-__builtin_inff());
  __m512 max = _mm512_set1_ps(*m);
  for (size_t g = 0; g < kGroups; ++g) {
    const size_t from = g * kWidth;
    const __mmask16 before = First(Least(kWidth, Beyond(span.begin, from)));
    const __mmask16 in =
        First(Least(kWidth, Beyond(span.end, from))) & static_cast<__mmask16>(~before);
    score[g] = _mm512_mul_ps(score[g], scale);
    if (job.soft_cap != 0) score[g] = SoftCap(score[g], job.soft_cap);
    score[g] = _mm512_mask_mov_ps(beyond, in, score[g]);
    max = _mm512_max_ps(score[g], max);
  }
  const __m512 block_max = _mm512_set1_ps(MaxLanes(max));
  const __m512 c = Exp(_mm512_sub_ps(_mm512_set1_ps(*m), block_max));
  *m = _mm512_cvtss_f32(block_max);
  __m512 l = _mm512_mul_ps(_mm512_load_ps(lanes), c);
  for (size_t g = 0; g < kGroups; ++g) {
    const __m512 e = Exp(_mm512_sub_ps(score[g], block_max));
    l = _mm512_add_ps(l, e);
    _mm512_store_ps(p + g * kWidth, e);
  }
  _mm512_store_ps(lanes, l);
  return _mm512_cvtss_f32(c);
}

// What AttentionWalk asks for.
struct Isa {
  using Registers = avx512::Registers;

  template <size_t H, class Rows>
  static void Weigh(const AttentionJob& job, const Rows& rows, const AttentionScratch& s,
                    const float* const (&q)[H], const AttendedSpan (&span)[H], size_t n,
                    size_t slot, float (&c)[H]) {
    __m512 score[H][kGroups];
    if (n > kAttentionBlock - kKeyGroup) {
      Scores<H, kGroups>(rows, q, job.head_dim, score, 0);
    } else {
      for (auto& of_query : score) {
        for (__m512& group : of_query) group = _mm512_setzero_ps();
      }
      for (size_t g = 0; g * kKeyGroup < n; ++g) Scores<H, 1>(rows, q, job.head_dim, score, g);
    }
    for (size_t h = 0; h < H; ++h) {
      c[h] = Softmax(job, score[h], span[h], s.m + slot + h, s.lanes + (slot + h) * kLanes,
                     s.p + h * kAttentionBlock);
    }
  }

  template <size_t H, class Rows>
  static void AddValues(const Rows& rows, const float* p, size_t begin, size_t end, size_t head_dim,
                        const float (&c)[H], float* const (&out)[H]) {
    size_t d = 0;
    for (; d + 4 * kWidth <= head_dim; d += 4 * kWidth) {
      avx512::AddValues<H, 4>(rows, p, begin, end, d, kWidth, c, out);
    }
    for (; d < head_dim; d += kWidth) {
      avx512::AddValues<H, 1>(rows, p, begin, end, d, Least(kWidth, head_dim - d), c, out);
    }
  }

  static float SumLanes(const float* lanes) { return AddLanes(_mm512_load_ps(lanes)); }
};

}  // namespace

void Attention(const AttentionJob& job) { AttentionWalk<Isa>::Attend(job); }

}  // namespace lockstep::avx512

#endif  // __x86_64__
