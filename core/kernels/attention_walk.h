// Attention over the KV cache in one pass, with the online softmax of Milakov and Gimelshein as
// FlashAttention uses it: of each query only the largest score so far (m), the sum of the weights
// (l, in 16 lanes) and the weighted sum of the values (out) are kept, and where a block of the
// cache has a larger score, what was summed before is scaled down by exp(m - m').
//
//            block 0        block 1        block 2          a block: 64 positions
//   query 0  tile 0         tile 0         tile 0           a tile: 1 to 4 queries by a block,
//   query 1  |              |              |                which share the keys that it loads
//   ...
//   query 4  tile 1         tile 1         tile 1
//
// A block is turned to floats once for up to 64 queries, or, for few of them, on the way to each
// tile, as storing it would take longer.
#pragma once

#include "core/kernels/attention_rows.h"

namespace lockstep {

// The positions [begin, end) of a block that a query attends to; empty before its first block,
// whose weights then are zero and change nothing, as nothing has been summed yet.
struct AttendedSpan {
  size_t begin, end;
};

// Queries up to which expanding a block does not pay.
inline constexpr size_t kDirectQueries = 8;

template <AttentionRegister R>
class AttentionWalk {
 public:
  static void Attend(const AttentionJob& job) {
    AttentionScratch s;
    s.width = (job.head.value + kLanes - 1) / kLanes * kLanes;
    s.keys = job.scratch;
    s.values = s.keys + kAttentionBlock * ((job.head.key + kLanes - 1) / kLanes * kLanes);
    s.lanes = s.values + kAttentionBlock * s.width;
    s.p = s.lanes + kAttentionQueries * kLanes;
    s.m = s.p + 4 * kAttentionBlock;
    const size_t queries = job.rows * job.heads;
    for (size_t i = 0; i < queries; i += kAttentionQueries) {
      Queries(job, s, i, Min(kAttentionQueries, queries - i));
    }
  }

 private:
  using T = typename R::Type;
  using F = Formulas<R>;
  static constexpr size_t kParts = kAttentionBlock / R::kWidth;  // registers of a query's scores
  static constexpr size_t kGroupParts = kKeyGroup / R::kWidth;   // of those of a key group

  static size_t Min(size_t a, size_t b) { return a < b ? a : b; }
  // a - b, or 0 if that is less.
  static size_t Subtract(size_t a, size_t b) { return a > b ? a - b : 0; }

  static const float* Query(const AttentionJob& job, size_t query) {
    return job.q + query / job.heads * job.q_stride + query % job.heads * job.head.key;
  }
  static float* Out(const AttentionJob& job, size_t query) {
    return job.out + query / job.heads * job.out_stride + query % job.heads * job.head.value;
  }

  static size_t End(const AttentionJob& job, size_t query) { return job.End(query / job.heads); }

  // `count` queries from `first`, at most kAttentionQueries.
  static void Queries(const AttentionJob& job, const AttentionScratch& s, size_t first,
                      size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const bool sink = job.sinks != nullptr;
      s.m[i] = sink ? job.sinks[(first + i) % job.heads] : -__builtin_inff();
      for (size_t j = 0; j < kLanes; ++j) s.lanes[i * kLanes + j] = sink && j == 0 ? 1.0f : 0.0f;
      float* out = Out(job, first + i);
      for (size_t d = 0; d < job.head.value; ++d) out[d] = 0.0f;
    }
    const size_t longest = End(job, first + count - 1);
    const size_t earliest = job.First(first / job.heads);
    const size_t first_block = earliest / kAttentionBlock * kAttentionBlock;
    for (size_t begin = first_block; begin < longest; begin += kAttentionBlock) {
      const size_t n = Min(kAttentionBlock, longest - begin);
      if (job.keys != nullptr) {
        Gather(job, begin, n, s);
        Tiles(job, s, FloatRows<R>(s, job.head), {first, count, begin, n});
        continue;
      }
      const uint8_t* block = job.kv.blocks + begin / kAttentionBlock * job.kv.stride;
      const KvBlock kv = BlockAt(job.kv.type, block, job.head);
      const size_t next = begin + n < longest ? job.kv.stride : 0;
      const Part part = {first, count, begin, n};
      if (job.kv.type == KvType::kF16) {
        Block(job, s, HalfRows<R>(kv, job.head, next), part);
      } else if (job.kv.type == KvType::kQ8_0) {
        Block(job, s, Int8Rows<R>(kv, job.head, next), part);
      } else {
        Block(job, s, Int4Rows<R>(kv, job.head, next), part);
      }
    }
    for (size_t i = 0; i < count; ++i) {
      T lanes[F::kRegisters];
      for (size_t r = 0; r < F::kRegisters; ++r) {
        lanes[r] = R::Load(s.lanes + i * kLanes + r * R::kWidth);
      }
      const float total = F::AddLanes(lanes);
      float* out = Out(job, first + i);
      for (size_t d = 0; d < job.head.value; ++d) out[d] /= total;
    }
  }

  // The n positions of a block from `begin`, for `count` queries from `first`.
  struct Part {
    size_t first, count, begin, n;
  };

  template <class Rows>
  static void Block(const AttentionJob& job, const AttentionScratch& s, const Rows& rows,
                    const Part& part) {
    if (part.count <= kDirectQueries && !job.head.value_in_key) return Tiles(job, s, rows, part);
    Expand(rows, job.head, part.n, s);
    Tiles(job, s, FloatRows<R>(s, job.head), part);
  }

  // Keys and values of the first n positions, as floats.
  template <class Rows>
  static void Expand(const Rows& rows, const HeadShape& head, size_t n, const AttentionScratch& s) {
    float* key = s.keys;
    for (size_t group = 0; group * kKeyGroup < n; ++group) {
      for (size_t d = 0; d < head.key; ++d) {
        for (size_t i = 0; i < kGroupParts; ++i, key += R::kWidth) {
          R::Store(key, rows.Key(group * kGroupParts + i, d));
        }
      }
    }
    if (head.value_in_key) return TransposeKeys(head, n, s);
    for (size_t j = 0; j < n; ++j) {
      for (size_t d = 0; d < head.value; d += R::kWidth) {
        R::Store(s.values + j * s.width + d, rows.Value(j, d, Min(R::kWidth, head.value - d)));
      }
    }
  }

  // Lays out keys and values as Expand does, from rows of floats. Positions that fill a group up
  // are zero.
  static void Gather(const AttentionJob& job, size_t begin, size_t n, const AttentionScratch& s) {
    const size_t key_dim = job.head.key, groups = (n + kKeyGroup - 1) / kKeyGroup;
    for (size_t j = 0; j < groups * kKeyGroup; ++j) {
      const float* const key = job.keys + (begin + j) * job.key_stride;
      float* const to = s.keys + j / kKeyGroup * key_dim * kKeyGroup + j % kKeyGroup;
      for (size_t d = 0; d < key_dim; ++d) to[d * kKeyGroup] = j < n ? key[d] : 0.0f;
    }
    for (size_t j = 0; j < n; ++j) {
      const float* const value = job.values + (begin + j) * job.value_stride;
      for (size_t d = 0; d < job.head.value; d += R::kWidth) {
        const size_t left = Min(R::kWidth, job.head.value - d);
        R::Store(s.values + j * s.width + d, R::LoadFirst(value + d, left));
      }
    }
  }

  // The values of n positions, from their keys.
  static void TransposeKeys(const HeadShape& head, size_t n, const AttentionScratch& s) {
    for (size_t j = 0; j < n; ++j) {
      const float* const key = s.keys + j / kKeyGroup * head.key * kKeyGroup + j % kKeyGroup;
      for (size_t d = 0; d < s.width; ++d) {
        s.values[j * s.width + d] = d < head.value ? key[d * kKeyGroup] : 0.0f;
      }
    }
  }

  template <class Rows>
  static void Tiles(const AttentionJob& job, const AttentionScratch& s, const Rows& rows,
                    const Part& part) {
    for (size_t i = 0; i < part.count;) {
      const size_t left = part.count - i;
      if (End(job, part.first + i) <= part.begin) {
        i += 1;
      } else if (left >= 4) {
        Tile<4>(job, s, rows, part, i);
        i += 4;
      } else if (left >= 3) {
        Tile<3>(job, s, rows, part, i);
        i += 3;
      } else if (left >= 2) {
        Tile<2>(job, s, rows, part, i);
        i += 2;
      } else {
        Tile<1>(job, s, rows, part, i);
        i += 1;
      }
    }
  }

  // kQueries from slot i, which all reach into the block.
  template <size_t kQueries, class Rows>
  static void Tile(const AttentionJob& job, const AttentionScratch& s, const Rows& rows,
                   const Part& part, size_t i) {
    const float* q[kQueries];
    float *out[kQueries], correction[kQueries];
    AttendedSpan span[kQueries];
    for (size_t h = 0; h < kQueries; ++h) {
      const size_t query = part.first + i + h;
      q[h] = Query(job, query);
      out[h] = Out(job, query);
      span[h].end = Min(kAttentionBlock, End(job, query) - part.begin);
      span[h].begin = Min(span[h].end, Subtract(job.First(query / job.heads), part.begin));
    }
    T score[kQueries][kParts];
    Scores(rows, q, job.head.key, part.n, score);
    for (size_t h = 0; h < kQueries; ++h) {
      const size_t query = part.first + i + h;
      const Slope slope = {
          job.slopes != nullptr ? job.slopes[query % job.heads] : 0.0f,
          static_cast<float>(part.begin) - static_cast<float>(job.position + query / job.heads)};
      correction[h] = Softmax(job, score[h], slope, span[h], s.m + i + h,
                              s.lanes + (i + h) * kLanes, s.p + h * kAttentionBlock);
    }
    const auto add_some = [&](size_t h, size_t begin, size_t end, float by) {
      const float* const p = s.p + h * kAttentionBlock;
      AddValues<1>(rows, p, begin, end, job.head.value, {by}, {out[h]});
    };
    if (span[kQueries - 1].begin != span[0].begin) {
      // Each query for itself, so that values go in order.
      for (size_t h = 0; h < kQueries; ++h) add_some(h, span[h].begin, span[h].end, correction[h]);
      return;
    }
    // The rows of a tile may end in this block at different positions, the first row first.
    AddValues<kQueries>(rows, s.p, span[0].begin, span[0].end, job.head.value, correction, out);
    for (size_t h = 1; h < kQueries; ++h) {
      if (span[h].end != span[0].end) add_some(h, span[0].end, span[h].end, 1.0f);
    }
  }

  // Unscaled scores of a block's n positions; zero for what is left of it.
  template <size_t kQueries, class Rows>
  static void Scores(const Rows& rows, const float* const (&q)[kQueries], size_t key_dim, size_t n,
                     T (&score)[kQueries][kParts]) {
    constexpr size_t kTogether = R::ScoreGroups(kQueries), kGroups = kAttentionBlock / kKeyGroup;
    const size_t groups = (n + kKeyGroup - 1) / kKeyGroup;
    size_t g = 0;
    for (; g + kTogether <= groups; g += kTogether) {
      GroupScores<kTogether>(rows, q, key_dim, g, score);
    }
    for (; g < groups; ++g) GroupScores<1>(rows, q, key_dim, g, score);
    for (; g < kGroups; ++g) {
      for (auto& of_query : score) {
        for (size_t i = 0; i < kGroupParts; ++i) {
          of_query[g * kGroupParts + i] = R::Broadcast(0.0f);
        }
      }
    }
  }

  template <size_t kGroups, size_t kQueries, class Rows>
  static void GroupScores(const Rows& rows, const float* const (&q)[kQueries], size_t key_dim,
                          size_t group, T (&score)[kQueries][kParts]) {
    constexpr size_t kKeys = kGroups * kGroupParts;
    T sum[kQueries][kKeys] = {};
    for (size_t d = 0; d < key_dim; ++d) {
      T key[kKeys];
      for (size_t i = 0; i < kKeys; ++i) key[i] = rows.Key(group * kGroupParts + i, d);
      for (size_t h = 0; h < kQueries; ++h) {
        const T v = R::Broadcast(q[h][d]);
        for (size_t i = 0; i < kKeys; ++i) sum[h][i] = R::Fma(v, key[i], sum[h][i]);
      }
    }
    for (size_t h = 0; h < kQueries; ++h) {
      for (size_t i = 0; i < kKeys; ++i) score[h][group * kGroupParts + i] = sum[h][i];
    }
  }

  // What scores lose for each position of distance, and how far behind a query the block begins.
  struct Slope {
    float slope, behind;
  };

  static T Lanes(size_t first) {
    float lane[R::kWidth];
    for (size_t i = 0; i < R::kWidth; ++i) lane[i] = static_cast<float>(first + i);
    return R::LoadFirst(lane, R::kWidth);
  }

  // The step of the online softmax of one query: from scores to weights, in p, zero outside of the
  // span; its m and lanes are brought up to date. Gives the factor of what was summed before.
  static float Softmax(const AttentionJob& job, T (&score)[kParts], Slope slope, AttendedSpan span,
                       float* m, float* lanes, float* p) {
    const T scale = R::Broadcast(job.scale), never = R::Broadcast(-__builtin_inff());
    T max = R::Broadcast(*m);
    for (size_t i = 0; i < kParts; ++i) {
      const size_t from = i * R::kWidth;
      score[i] = score[i] * scale;
      if (job.soft_cap != 0) score[i] = F::SoftCap(score[i], job.soft_cap);
      if (slope.slope != 0) {
        const T away = Lanes(from) + R::Broadcast(slope.behind);
        score[i] = R::Fma(R::Broadcast(-slope.slope), R::Max(away, -away), score[i]);
      }
      score[i] = R::Select(Min(R::kWidth, Subtract(span.begin, from)),
                           Min(R::kWidth, Subtract(span.end, from)), score[i], never);
      max = R::Max(score[i], max);
    }
    const float block_max = R::Largest(max);
    const T top = R::Broadcast(block_max), correction = F::Exp(R::Broadcast(*m) - top);
    *m = block_max;
    T sum[F::kRegisters];
    for (size_t r = 0; r < F::kRegisters; ++r) {
      sum[r] = R::Load(lanes + r * R::kWidth) * correction;
    }
    for (size_t i = 0; i < kParts; ++i) {
      const T weight = F::Exp(score[i] - top);
      sum[i % F::kRegisters] = sum[i % F::kRegisters] + weight;
      R::Store(p + i * R::kWidth, weight);
    }
    for (size_t r = 0; r < F::kRegisters; ++r) R::Store(lanes + r * R::kWidth, sum[r]);
    float first[R::kWidth];
    R::Store(first, correction);
    return first[0];
  }

  // out[h][d] = out[h][d] * correction[h], then fma(p[h][j], value[j][d], .) for begin <= j < end.
  template <size_t kQueries, class Rows>
  static void AddValues(const Rows& rows, const float* p, size_t begin, size_t end,
                        size_t value_dim, const float (&correction)[kQueries],
                        float* const (&out)[kQueries]) {
    constexpr size_t kTogether = R::ValueRegisters(kQueries);
    size_t d = 0;
    for (; d + kTogether * R::kWidth <= value_dim; d += kTogether * R::kWidth) {
      if constexpr (R::kAddsApart) {
        AddColumnsApart<kTogether>(rows, p, begin, end, d, correction, out);
      } else {
        AddColumns<kTogether>(rows, p, begin, end, d, R::kWidth, correction, out);
      }
    }
    for (; d < value_dim; d += R::kWidth) {
      AddColumns<1>(rows, p, begin, end, d, Min(R::kWidth, value_dim - d), correction, out);
    }
  }

  // Adds kVectors whole registers from d on, or one of which n lanes are the vector's.
  template <size_t kVectors, size_t kQueries, class Rows>
  static void AddColumns(const Rows& rows, const float* p, size_t begin, size_t end, size_t d,
                         size_t given, const float (&correction)[kQueries],
                         float* const (&out)[kQueries]) {
    const size_t n = kVectors > 1 ? R::kWidth : given;  // a constant for whole registers
    T sum[kQueries][kVectors];
    for (size_t h = 0; h < kQueries; ++h) {
      for (size_t v = 0; v < kVectors; ++v) {
        sum[h][v] = R::LoadFirst(out[h] + d + v * R::kWidth, n) * R::Broadcast(correction[h]);
      }
    }
    for (size_t j = begin; j < end; ++j) {
      T value[kVectors];
      for (size_t v = 0; v < kVectors; ++v) value[v] = rows.Value(j, d + v * R::kWidth, n);
      for (size_t h = 0; h < kQueries; ++h) {
        const T weight = R::Broadcast(p[h * kAttentionBlock + j]);
        for (size_t v = 0; v < kVectors; ++v) sum[h][v] = R::Fma(weight, value[v], sum[h][v]);
      }
    }
    for (size_t h = 0; h < kQueries; ++h) {
      for (size_t v = 0; v < kVectors; ++v) {
        R::StoreFirst(out[h] + d + v * R::kWidth, n, sum[h][v]);
      }
    }
  }

  template <size_t kVectors, size_t kQueries, class Rows>
  [[gnu::noinline]] static void AddColumnsApart(const Rows& rows, const float* p, size_t begin,
                                                size_t end, size_t d,
                                                const float (&correction)[kQueries],
                                                float* const (&out)[kQueries]) {
    AddColumns<kVectors>(rows, p, begin, end, d, R::kWidth, correction, out);
  }
};

}  // namespace lockstep
