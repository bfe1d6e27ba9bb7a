// Attention for AVX-512: a block of the cache is turned to floats once, for up to 64 queries.
#if defined(__x86_64__)

#include "core/kernels/avx512.h"

namespace lockstep::avx512 {
namespace {

constexpr size_t kGroups = kAttentionBlock / kKeyGroup;  // registers of scores

size_t Least(size_t a, size_t b) { return a < b ? a : b; }

// Parts of AttentionJob::scratch.
struct Scratch {
  float* keys;    // [4][head_dim][16], the block's
  float* values;  // [64][width]
  float* lanes;   // [64][16], l of each query
  float* m;       // [64]
  float* p;       // [4][64], of the tile in hand
  size_t width;   // head_dim in whole registers
};

__m512 BytesToFloat(const int8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}

// Key groups and values of the `n` positions from `begin`.
void ExpandBlock(const AttentionJob& job, size_t begin, size_t n, const Scratch& s) {
  const size_t dim = job.head_dim, blocks = dim / kQuantBlock;
  for (size_t g = 0; g * kKeyGroup < n; ++g) {
    const size_t group = begin / kKeyGroup + g;
    float* to = s.keys + g * dim * kKeyGroup;
    if (job.kv.type == KvType::kF16) {
      const uint16_t* from = static_cast<const uint16_t*>(job.kv.keys) + group * dim * kKeyGroup;
      for (size_t d = 0; d < dim; ++d) {
        _mm512_store_ps(to + d * kKeyGroup, LoadHalf(from + d * kKeyGroup));
      }
    } else {
      const int8_t* from = static_cast<const int8_t*>(job.kv.keys) + group * dim * kKeyGroup;
      for (size_t d = 0; d < dim; ++d) {
        const size_t block = group * blocks + d / kQuantBlock;
        const __m512 scale = LoadHalf(job.kv.key_scales + block * kKeyGroup);
        _mm512_store_ps(to + d * kKeyGroup,
                        _mm512_mul_ps(BytesToFloat(from + d * kKeyGroup), scale));
      }
    }
  }
  for (size_t j = 0; j < n; ++j) {
    const size_t first = (begin + j) * dim;
    float* to = s.values + j * s.width;
    if (job.kv.type == KvType::kF16) {
      const uint16_t* from = static_cast<const uint16_t*>(job.kv.values) + first;
      for (size_t d = 0; d < dim; d += kWidth) {
        const __mmask16 mask = First(Least(kWidth, dim - d));
        _mm512_store_ps(to + d, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from + d)));
      }
    } else {
      const int8_t* from = static_cast<const int8_t*>(job.kv.values) + first;
      for (size_t d = 0; d < dim; d += kWidth) {
        const uint16_t half = job.kv.value_scales[(first + d) / kQuantBlock];
        const __m512 scale = _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<int16_t>(half)));
        _mm512_store_ps(to + d, _mm512_mul_ps(BytesToFloat(from + d), scale));
      }
    }
  }
}

// Unscaled scores of H queries for G key groups.
template <size_t H, size_t G>
void Scores(const float* keys, const float* const (&q)[H], size_t head_dim, __m512 (&s)[H][kGroups],
            size_t group) {
  __m512 acc[H][G] = {};
  for (size_t d = 0; d < head_dim; ++d) {
    __m512 key[G];
    for (size_t g = 0; g < G; ++g) {
      key[g] = _mm512_load_ps(keys + ((group + g) * head_dim + d) * kKeyGroup);
    }
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
// from d are V whole ones, or one of which only `mask` is head_dim's.
template <size_t H, size_t V>
void AddValues(const Scratch& s, const float* p, size_t begin, size_t end, size_t d, __mmask16 mask,
               const __m512 (&c)[H], float* const (&out)[H]) {
  __m512 o[H][V];
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) {
      o[h][v] = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, out[h] + d + v * kWidth), c[h]);
    }
  }
  for (size_t j = begin; j < end; ++j) {
    __m512 value[V];
    for (size_t v = 0; v < V; ++v)
      value[v] = _mm512_load_ps(s.values + j * s.width + d + v * kWidth);
    for (size_t h = 0; h < H; ++h) {
      const __m512 weight = _mm512_set1_ps(p[h * kAttentionBlock + j]);
      for (size_t v = 0; v < V; ++v) o[h][v] = _mm512_fmadd_ps(weight, value[v], o[h][v]);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) _mm512_mask_storeu_ps(out[h] + d + v * kWidth, mask, o[h][v]);
  }
}

template <size_t H>
void AddAllValues(const Scratch& s, const float* p, size_t begin, size_t end, size_t head_dim,
                  const __m512 (&c)[H], float* const (&out)[H]) {
  size_t d = 0;
  for (; d + 4 * kWidth <= head_dim; d += 4 * kWidth) {
    AddValues<H, 4>(s, p, begin, end, d, First(kWidth), c, out);
  }
  for (; d < head_dim; d += kWidth) {
    AddValues<H, 1>(s, p, begin, end, d, First(Least(kWidth, head_dim - d)), c, out);
  }
}

// One block for the H queries from `first`, which all reach into it. `n`: positions expanded.
template <size_t H>
void AttendTile(const AttentionJob& job, const Scratch& s, size_t first, size_t slot, size_t begin,
                size_t n) {
  const float* q[H];
  float* out[H];
  size_t left[H];  // positions of the block that the query attends to
  for (size_t h = 0; h < H; ++h) {
    const size_t row = (first + h) / job.heads, head = (first + h) % job.heads;
    q[h] = job.q + row * job.stride + head * job.head_dim;
    out[h] = job.out + row * job.stride + head * job.head_dim;
    left[h] = Least(kAttentionBlock, job.length + row - begin);
  }
  __m512 score[H][kGroups] = {}, c[H];
  if (n > kAttentionBlock - kKeyGroup) {
    Scores<H, kGroups>(s.keys, q, job.head_dim, score, 0);
  } else {
    for (size_t g = 0; g * kKeyGroup < n; ++g) {
      Scores<H, 1>(s.keys, q, job.head_dim, score, g);
    }
  }
  const __m512 scale = _mm512_set1_ps(job.scale), beyond = _mm512_set1_ps(-__builtin_inff());
  for (size_t h = 0; h < H; ++h) {
    float* m = s.m + slot + h;
    float* lanes = s.lanes + (slot + h) * kWidth;
    __m512 max = _mm512_set1_ps(*m);
    for (size_t g = 0; g < kGroups; ++g) {
      const size_t from = g * kWidth, in = left[h] > from ? Least(kWidth, left[h] - from) : 0;
      score[h][g] = _mm512_mask_mul_ps(beyond, First(in), score[h][g], scale);
      max = _mm512_max_ps(score[h][g], max);
    }
    const __m512 block_max = _mm512_set1_ps(MaxLanes(max));
    c[h] = Exp(_mm512_sub_ps(_mm512_set1_ps(*m), block_max));
    *m = _mm512_cvtss_f32(block_max);
    __m512 l = _mm512_mul_ps(_mm512_load_ps(lanes), c[h]);
    for (size_t g = 0; g < kGroups; ++g) {
      const __m512 e = Exp(_mm512_sub_ps(score[h][g], block_max));
      l = _mm512_add_ps(l, e);
      _mm512_store_ps(s.p + h * kAttentionBlock + g * kWidth, e);
    }
    _mm512_store_ps(lanes, l);
  }
  // The rows of a tile may end in this block at different positions, the first row first.
  AddAllValues<H>(s, s.p, 0, left[0], job.head_dim, c, out);
  for (size_t h = 1; h < H; ++h) {
    if (left[h] == left[0]) continue;
    float* const one[1] = {out[h]};
    const __m512 by[1] = {_mm512_set1_ps(1.0f)};
    AddAllValues<1>(s, s.p + h * kAttentionBlock, left[0], left[h], job.head_dim, by, one);
  }
}

// `count` queries from `first`, at most kAttentionQueries.
void AttendQueries(const AttentionJob& job, const Scratch& s, size_t first, size_t count) {
  const auto out = [&job](size_t query) {
    return job.out + query / job.heads * job.stride + query % job.heads * job.head_dim;
  };
  for (size_t i = 0; i < count; ++i) {
    s.m[i] = -__builtin_inff();
    _mm512_store_ps(s.lanes + i * kWidth, _mm512_setzero_ps());
    for (size_t d = 0; d < job.head_dim; ++d) out(first + i)[d] = 0.0f;
  }
  const auto length = [&job](size_t query) { return job.length + query / job.heads; };
  const size_t longest = length(first + count - 1);
  for (size_t begin = 0; begin < longest; begin += kAttentionBlock) {
    const size_t n = Least(kAttentionBlock, longest - begin);
    ExpandBlock(job, begin, n, s);
    for (size_t i = 0; i < count;) {
      if (length(first + i) <= begin) {
        ++i;
      } else if (i + 4 <= count) {
        AttendTile<4>(job, s, first + i, i, begin, n), i += 4;
      } else {
        AttendTile<1>(job, s, first + i, i, begin, n), ++i;
      }
    }
  }
  for (size_t i = 0; i < count; ++i) {
    const float total = AddLanes(_mm512_load_ps(s.lanes + i * kWidth));
    float* o = out(first + i);
    for (size_t d = 0; d < job.head_dim; ++d) o[d] /= total;
  }
}

}  // namespace

void Attention(const AttentionJob& job) {
  Scratch s;
  s.width = (job.head_dim + kWidth - 1) / kWidth * kWidth;
  s.keys = job.scratch;
  s.values = s.keys + kAttentionBlock * s.width;
  s.lanes = s.values + kAttentionBlock * s.width;
  s.p = s.lanes + kAttentionQueries * kWidth;
  s.m = s.p + 4 * kAttentionBlock;
  const size_t queries = job.rows * job.heads;
  for (size_t i = 0; i < queries; i += kAttentionQueries) {
    AttendQueries(job, s, i, Least(kAttentionQueries, queries - i));
  }
}

}  // namespace lockstep::avx512

#endif  // __x86_64__
