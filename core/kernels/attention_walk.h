// The walk of attention through the cache, which the vector files share: a block of it is turned to
// floats once for up to 64 queries, taken in tiles of 4, 2 and 1. What needs registers is the
// Isa's, a type of the including file's own anonymous namespace, so that each file has its own
// copy.
//
//   static void ExpandBlock(job, block, n, s)
//     keys and values of the first n positions of the block, as floats, to s.keys and s.values
//   template <size_t H> static void Weigh(job, s, q, span, n, slot, c)
//     the online softmax's step for H queries: their weights to s.p, zero outside of span[h]; s.m
//     and s.lanes of the slots from `slot` brought up to date; c: the factors of what was summed
//     before. n positions are expanded.
//   template <size_t H> static void AddValues(s, p, begin, end, head_dim, c, out)
//     out[h][d] = out[h][d] * c[h], then fma(p[h][j], value[j][d], .) for begin <= j < end
//   static float SumLanes(lanes)
//     the 16 lanes added in halves
#pragma once

#include "core/kernels/kernels.h"

namespace lockstep {

static inline size_t Least(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t Beyond(size_t a, size_t b) { return a > b ? a - b : 0; }

// The positions [begin, end) of a block that a query attends to; empty before its first block,
// whose weights then are zero and change nothing, as nothing has been summed yet.
struct AttendedSpan {
  size_t begin, end;
};

// Parts of AttentionJob::scratch.
struct AttentionScratch {
  float* keys;    // [4][head_dim][16], the block's
  float* values;  // [64][width]
  float* lanes;   // [64][16], l of each query
  float* m;       // [64]
  float* p;       // [4][64], of the tile in hand
  size_t width;   // head_dim in whole sixteens
};

template <class Isa>
class AttentionWalk {
 public:
  static void Attend(const AttentionJob& job) {
    AttentionScratch s;
    s.width = (job.head_dim + kLanes - 1) / kLanes * kLanes;
    s.keys = job.scratch;
    s.values = s.keys + kAttentionBlock * s.width;
    s.lanes = s.values + kAttentionBlock * s.width;
    s.p = s.lanes + kAttentionQueries * kLanes;
    s.m = s.p + 4 * kAttentionBlock;
    const size_t queries = job.rows * job.heads;
    for (size_t i = 0; i < queries; i += kAttentionQueries) {
      Queries(job, s, i, Least(kAttentionQueries, queries - i));
    }
  }

 private:
  // No hardware prefetcher foresees a block, as the next is elsewhere.
  static void Prefetch(const uint8_t* block, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(block + i);
  }

  static size_t Offset(const AttentionJob& job, size_t query) {
    return query / job.heads * job.stride + query % job.heads * job.head_dim;
  }

  // `count` queries from `first`, at most kAttentionQueries.
  static void Queries(const AttentionJob& job, const AttentionScratch& s, size_t first,
                      size_t count) {
    for (size_t i = 0; i < count; ++i) {
      s.m[i] = -__builtin_inff();
      for (size_t j = 0; j < kLanes; ++j) s.lanes[i * kLanes + j] = 0.0f;
      float* out = job.out + Offset(job, first + i);
      for (size_t d = 0; d < job.head_dim; ++d) out[d] = 0.0f;
    }
    const auto length = [&job](size_t query) { return job.length + query / job.heads; };
    const size_t longest = length(first + count - 1);
    const size_t bytes = KvBlockBytes(job.kv.type, job.head_dim);
    const size_t earliest = job.First(first / job.heads);
    const size_t first_block = earliest / kAttentionBlock * kAttentionBlock;
    for (size_t begin = first_block; begin < longest; begin += kAttentionBlock) {
      const size_t n = Least(kAttentionBlock, longest - begin);
      const uint8_t* block = job.kv.blocks + begin / kAttentionBlock * job.kv.stride;
      if (begin + n < longest) Prefetch(block + job.kv.stride, bytes);
      Isa::ExpandBlock(job, BlockAt(job.kv.type, block, job.head_dim), n, s);
      for (size_t i = 0; i < count;) {
        if (length(first + i) <= begin) {
          ++i;
        } else if (i + 4 <= count) {
          Tile<4>(job, s, first + i, i, begin, n), i += 4;
        } else if (i + 2 <= count) {
          Tile<2>(job, s, first + i, i, begin, n), i += 2;
        } else {
          Tile<1>(job, s, first + i, i, begin, n), ++i;
        }
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const float total = Isa::SumLanes(s.lanes + i * kLanes);
      float* out = job.out + Offset(job, first + i);
      for (size_t d = 0; d < job.head_dim; ++d) out[d] /= total;
    }
  }

  // One block for the H queries from `first`, which all reach into it. `n`: positions expanded.
  template <size_t H>
  static void Tile(const AttentionJob& job, const AttentionScratch& s, size_t first, size_t slot,
                   size_t begin, size_t n) {
    const float* q[H];
    float *out[H], c[H];
    AttendedSpan span[H];
    for (size_t h = 0; h < H; ++h) {
      const size_t row = (first + h) / job.heads;
      q[h] = job.q + Offset(job, first + h);
      out[h] = job.out + Offset(job, first + h);
      span[h].end = Least(kAttentionBlock, job.length + row - begin);
      span[h].begin = Least(span[h].end, Beyond(job.First(row), begin));
    }
    Isa::template Weigh<H>(job, s, q, span, n, slot, c);
    if (span[H - 1].begin != span[0].begin) {  // each for itself, so that values go in order
      for (size_t h = 0; h < H; ++h) AddSome(job, s, h, span[h].begin, span[h].end, c[h], out[h]);
      return;
    }
    // The rows of a tile may end in this block at different positions, the first row first.
    Isa::template AddValues<H>(s, s.p, span[0].begin, span[0].end, job.head_dim, c, out);
    for (size_t h = 1; h < H; ++h) {
      if (span[h].end == span[0].end) continue;
      AddSome(job, s, h, span[0].end, span[h].end, 1.0f, out[h]);
    }
  }

  static void AddSome(const AttentionJob& job, const AttentionScratch& s, size_t h, size_t begin,
                      size_t end, float c, float* out) {
    float* const one[1] = {out};
    const float by[1] = {c};
    Isa::template AddValues<1>(s, s.p + h * kAttentionBlock, begin, end, job.head_dim, by, one);
  }
};

}  // namespace lockstep
