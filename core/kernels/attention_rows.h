// Keys and values of a block of the KV cache as registers of floats, for the walk of attention. A
// block is 64 positions of one head. Its keys lie in four groups of 16 positions, a dimension of
// all 16 side by side, so that a register holds one dimension of several positions and each of its
// lanes is the sum for one of them; its values lie as they are used, a position after the other:
//
//   keys    group 0                     values  position 0   d0 d1 d2 ...
//             d0  p0  p1 ... p15                position 1   d0 d1 d2 ...
//             d1  p0  p1 ... p15                ...
//             ...
//           group 1
//             d0  p16 p17 ... p31
//
// A Rows type reads one of the four forms of a block: f16, int8 and int4 with scales, and floats.
// All have
//   Key(part, d)       dimension d of the kWidth positions from kWidth * part on
//   Value(j, d, n)     of position j the kWidth dimensions from d on, of which n are the vector's
// Those of the cache also fetch what the next block has in the same place, `next` bytes further on:
// no hardware prefetcher foresees it. Halves, of which memory is the bound, go into the second
// cache: the nearest one has room for too few fetches at a time (Zen 4: 12 GB/s of a core instead
// of 19). The integers, of which work is the bound, go into the nearest.
#pragma once

#include "core/kernels/formulas.h"

namespace lockstep {

// What attention asks of a register besides.
template <class R>
concept AttentionRegister = FloatRegister<R> &&
    requires(const uint16_t* halves, const int8_t* bytes, const uint8_t* pairs, size_t n) {
  { R::LoadHalves(halves, n) } -> std::same_as<typename R::Type>;  // the first n of them f16
  { R::LoadInt8(bytes) } -> std::same_as<typename R::Type>;        // kWidth int8
  // The upper or lower halves of kWidth bytes, less 8.
  { R::LoadInt4(pairs, true) } -> std::same_as<typename R::Type>;
  { R::BroadcastHalf(*halves) } -> std::same_as<typename R::Type>;
  // By the number of queries in hand, how many key groups, and how many registers of values, are
  // worked on together: what hides the latency of fma and fits in registers.
  { R::ScoreGroups(n) } -> std::same_as<size_t>;
  { R::ValueRegisters(n) } -> std::same_as<size_t>;
  // Whether the sums of values are to be a function of their own: inlined, gcc 12 keeps those of
  // AVX-512 in memory, which takes a quarter longer; called, those of AVX2 take a third longer.
  { R::kAddsApart } -> std::convertible_to<bool>;
};

// Parts of AttentionJob::scratch.
struct AttentionScratch {
  float* keys;    // [4][key][16], the block's
  float* values;  // [64][width]
  float* lanes;   // [64][16], l of each query
  float* m;       // [64]
  float* p;       // [4][64], of the tile in hand
  size_t width;   // a value vector in whole sixteens
};

template <AttentionRegister R>
struct AttentionRows {
  // Where dimension d of positions begins in a block of keys.
  static size_t KeyAt(size_t part, size_t d, size_t key_dim) {
    constexpr size_t kParts = kKeyGroup / R::kWidth;
    return (part / kParts * key_dim + d) * kKeyGroup + part % kParts * R::kWidth;
  }
  // kCache: into which cache what is `next` bytes further on is fetched, 3 for the nearest.
  template <class T, int kCache>
  static const T* Fetch(const void* from, size_t i, size_t next) {
    const T* const p = static_cast<const T*>(from) + i;
    __builtin_prefetch(reinterpret_cast<const uint8_t*>(p) + next, 0, kCache);
    return p;
  }
};

// What those of the cache have in common.
template <AttentionRegister R>
struct CacheRows : AttentionRows<R> {
  KvBlock kv;
  size_t key_dim, value_dim, next;

  CacheRows(const KvBlock& block, const HeadShape& head, size_t to_next)
      : kv(block), key_dim(head.key), value_dim(head.value), next(to_next) {}
};

template <AttentionRegister R>
struct HalfRows : CacheRows<R> {
  using CacheRows<R>::CacheRows, CacheRows<R>::kv, CacheRows<R>::next;

  typename R::Type Key(size_t part, size_t d) const {
    const size_t i = this->KeyAt(part, d, this->key_dim);
    return R::LoadHalves(this->template Fetch<uint16_t, 2>(kv.keys, i, next), R::kWidth);
  }
  typename R::Type Value(size_t j, size_t d, size_t n) const {
    const size_t i = j * this->value_dim + d;
    return R::LoadHalves(this->template Fetch<uint16_t, 2>(kv.values, i, next), n);
  }
};

template <AttentionRegister R>
struct Int8Rows : CacheRows<R> {
  using CacheRows<R>::CacheRows, CacheRows<R>::kv, CacheRows<R>::next;

  typename R::Type Key(size_t part, size_t d) const {
    const size_t i = this->KeyAt(part, d, this->key_dim), lane = i % kKeyGroup;
    const size_t scales = i / kKeyGroup / kQuantBlock * kKeyGroup + lane;
    return R::LoadInt8(this->template Fetch<int8_t, 3>(kv.keys, i, next)) *
           R::LoadHalves(kv.key_scales + scales, R::kWidth);
  }
  typename R::Type Value(size_t j, size_t d, size_t) const {  // vectors are whole blocks of 32
    const size_t i = j * this->value_dim + d;
    return R::LoadInt8(this->template Fetch<int8_t, 3>(kv.values, i, next)) *
           R::BroadcastHalf(kv.value_scales[i / kQuantBlock]);
  }
};

template <AttentionRegister R>
struct Int4Rows : CacheRows<R> {
  using CacheRows<R>::CacheRows, CacheRows<R>::kv, CacheRows<R>::next;
  static constexpr size_t kHalf = kQuantBlock / 2;  // bytes of a block

  typename R::Type Key(size_t part, size_t d) const {
    const size_t i = this->KeyAt(part, d / 2, this->key_dim / 2), lane = i % kKeyGroup;
    const size_t scales = i / kKeyGroup / kHalf * kKeyGroup + lane;
    return R::LoadInt4(this->template Fetch<uint8_t, 3>(kv.keys, i, next), d % 2 == 1) *
           R::LoadHalves(kv.key_scales + scales, R::kWidth);
  }
  typename R::Type Value(size_t j, size_t d, size_t) const {  // vectors are whole blocks of 32
    const size_t block = (j * this->value_dim + d) / kQuantBlock, at = d % kQuantBlock;
    const size_t i = block * kHalf + at % kHalf;
    return R::LoadInt4(this->template Fetch<uint8_t, 3>(kv.values, i, next), at >= kHalf) *
           R::BroadcastHalf(kv.value_scales[block]);
  }
};

template <AttentionRegister R>
struct FloatRows : AttentionRows<R> {  // expanded
  const float *keys, *values;
  size_t key_dim, width;

  FloatRows(const AttentionScratch& s, const HeadShape& head)
      : keys(s.keys), values(s.values), key_dim(head.key), width(s.width) {}
  typename R::Type Key(size_t part, size_t d) const {
    return R::Load(keys + this->KeyAt(part, d, key_dim));
  }
  typename R::Type Value(size_t j, size_t d, size_t) const {
    return R::Load(values + j * width + d);
  }
};

}  // namespace lockstep
