// The walk of attention through the cache, which the vector files share: a block of it is turned to
// floats once for up to 64 queries, taken in tiles of 4, 2 and 1, or for few of them on the way to
// each tile, as storing it would take longer. What needs registers is the Isa's, a type of the
// including file's own anonymous namespace, so that each file has its own copy.
//
//   using Registers; those of attention_rows.h, of whose three `rows` is one
//   template <size_t H, class Rows> static void Weigh(job, rows, s, q, span, n, slot, c)
//     the online softmax's step for H queries: their weights to s.p, zero outside of span[h]; s.m
//     and s.lanes of the slots from `slot` brought up to date; c: the factors of what was summed
//     before. The block has n positions.
//   template <size_t H, class Rows> static void AddValues(rows, p, begin, end, head_dim, c, out)
//     out[h][d] = out[h][d] * c[h], then fma(p[h][j], value[j][d], .) for begin <= j < end
//   static float SumLanes(lanes)
//     the 16 lanes added in halves
#pragma once

#include "core/kernels/attention_rows.h"
#include "core/kernels/kernels.h"

namespace lockstep {

static inline size_t Least(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t Beyond(size_t a, size_t b) { return a > b ? a - b : 0; }

// The positions [begin, end) of a block that a query attends to; empty before its first block,
// whose weights then are zero and change nothing, as nothing has been summed yet.
struct AttendedSpan {
  size_t begin, end;
};

// Queries up to which expanding a block does not pay.
inline constexpr size_t kDirectQueries = 8;

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
  using R = typename Isa::Registers;

  static size_t Offset(const AttentionJob& job, size_t query) {
    return query / job.heads * job.stride + query % job.heads * job.head_dim;
  }

  static size_t Length(const AttentionJob& job, size_t query) {
    return job.length + query / job.heads;
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
    const size_t longest = Length(job, first + count - 1);
    const size_t earliest = job.First(first / job.heads);
    const size_t first_block = earliest / kAttentionBlock * kAttentionBlock;
    for (size_t begin = first_block; begin < longest; begin += kAttentionBlock) {
      const size_t n = Least(kAttentionBlock, longest - begin);
      const uint8_t* block = job.kv.blocks + begin / kAttentionBlock * job.kv.stride;
      const KvBlock kv = BlockAt(job.kv.type, block, job.head_dim);
      const size_t next = begin + n < longest ? job.kv.stride : 0;
      const Part part = {first, count, begin, n};
      if (job.kv.type == KvType::kF16) {
        Block(job, s, HalfRows<R>(kv, job.head_dim, next), part);
      } else {
        Block(job, s, ByteRows<R>(kv, job.head_dim, next), part);
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const float total = Isa::SumLanes(s.lanes + i * kLanes);
      float* out = job.out + Offset(job, first + i);
      for (size_t d = 0; d < job.head_dim; ++d) out[d] /= total;
    }
  }

  // The n positions of a block from `begin`, for `count` queries from `first`.
  struct Part {
    size_t first, count, begin, n;
  };

  template <class Rows>
  static void Block(const AttentionJob& job, const AttentionScratch& s, const Rows& rows,
                    const Part& part) {
    if (part.count <= kDirectQueries) return Tiles(job, s, rows, part);
    Expand(rows, job.head_dim, part.n, s);
    Tiles(job, s, FloatRows<R>(s, job.head_dim), part);
  }

  // Keys and values of the first n positions, as floats.
  template <class Rows>
  static void Expand(const Rows& rows, size_t head_dim, size_t n, const AttentionScratch& s) {
    constexpr size_t kParts = kKeyGroup / R::kWidth;  // of a key group
    float* key = s.keys;
    for (size_t group = 0; group * kKeyGroup < n; ++group) {
      for (size_t d = 0; d < head_dim; ++d) {
        for (size_t i = 0; i < kParts; ++i, key += R::kWidth) {
          R::Store(key, rows.Key(group * kParts + i, d));
        }
      }
    }
    for (size_t j = 0; j < n; ++j) {
      for (size_t d = 0; d < head_dim; d += R::kWidth) {
        R::Store(s.values + j * s.width + d, rows.Value(j, d, Least(R::kWidth, head_dim - d)));
      }
    }
  }

  template <class Rows>
  static void Tiles(const AttentionJob& job, const AttentionScratch& s, const Rows& rows,
                    const Part& part) {
    for (size_t i = 0; i < part.count;) {
      const size_t left = part.count - i;
      if (Length(job, part.first + i) <= part.begin) {
        ++i;
      } else if (left >= 4) {
        Tile<4>(job, s, rows, part, i), i += 4;
      } else if (left >= 2) {
        Tile<2>(job, s, rows, part, i), i += 2;
      } else {
        Tile<1>(job, s, rows, part, i), ++i;
      }
    }
  }

  // H queries from slot i, which all reach into the block.
  template <size_t H, class Rows>
  static void Tile(const AttentionJob& job, const AttentionScratch& s, const Rows& rows,
                   const Part& part, size_t i) {
    const float* q[H];
    float *out[H], c[H];
    AttendedSpan span[H];
    for (size_t h = 0; h < H; ++h) {
      const size_t query = part.first + i + h;
      q[h] = job.q + Offset(job, query);
      out[h] = job.out + Offset(job, query);
      span[h].end = Least(kAttentionBlock, Length(job, query) - part.begin);
      span[h].begin = Least(span[h].end, Beyond(job.First(query / job.heads), part.begin));
    }
    Isa::template Weigh<H>(job, rows, s, q, span, part.n, i, c);
    const auto add_some = [&](size_t h, size_t begin, size_t end, float by) {
      const float* const p = s.p + h * kAttentionBlock;
      Isa::template AddValues<1>(rows, p, begin, end, job.head_dim, {by}, {out[h]});
    };
    if (span[H - 1].begin != span[0].begin) {  // each for itself, so that values go in order
      for (size_t h = 0; h < H; ++h) add_some(h, span[h].begin, span[h].end, c[h]);
      return;
    }
    // The rows of a tile may end in this block at different positions, the first row first.
    Isa::template AddValues<H>(rows, s.p, span[0].begin, span[0].end, job.head_dim, c, out);
    for (size_t h = 1; h < H; ++h) {
      if (span[h].end != span[0].end) add_some(h, span[0].end, span[h].end, 1.0f);
    }
  }
};

}  // namespace lockstep
