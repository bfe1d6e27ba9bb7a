// Keys and values of a block of the KV cache as registers of floats, for the walk of attention. An
// Isa's registers, a type of the including file's own anonymous namespace, so that each file has
// its own copy, are
//
//   using Type; static constexpr size_t kWidth;             floats in one, at most 16
//   static Type Halves(const uint16_t* p, size_t in)        f16, of which `in` are to be read
//   static Type Bytes(const int8_t* p, Type scale)          kWidth int8 times scale
//   static Type Everywhere(uint16_t half)                   an f16 in every lane
//   static Type Load(const float* p)                        aligned, as in Store(float* p, Type)
#pragma once

#include "core/kernels/kernels.h"

namespace lockstep {

// Parts of AttentionJob::scratch.
struct AttentionScratch {
  float* keys;    // [4][head_dim][16], the block's
  float* values;  // [64][width]
  float* lanes;   // [64][16], l of each query
  float* m;       // [64]
  float* p;       // [4][64], of the tile in hand
  size_t width;   // head_dim in whole sixteens
};

// All three have
//   Key(part, d)      d of the kWidth positions from kWidth * part on
//   Value(j, d, in)   of position j the kWidth values from d on, of which `in` are head_dim's
// Those of the cache also fetch what the next block has in the same place, `next` bytes further on:
// no hardware prefetcher foresees it.
template <class R>
struct AttentionRows {
  // Where a key's d begins in a block of the keys.
  static size_t KeyAt(size_t part, size_t d, size_t head_dim) {
    constexpr size_t kParts = kKeyGroup / R::kWidth;
    return (part / kParts * head_dim + d) * kKeyGroup + part % kParts * R::kWidth;
  }
  template <class T>
  static const T* Fetch(const void* from, size_t i, size_t next) {
    const T* const p = static_cast<const T*>(from) + i;
    __builtin_prefetch(reinterpret_cast<const uint8_t*>(p) + next);
    return p;
  }
};

template <class R>
struct HalfRows : AttentionRows<R> {
  const void *keys, *values;
  size_t dim, next;

  HalfRows(const KvBlock& kv, size_t head_dim, size_t to_next)
      : keys(kv.keys), values(kv.values), dim(head_dim), next(to_next) {}
  typename R::Type Key(size_t part, size_t d) const {
    return R::Halves(this->template Fetch<uint16_t>(keys, this->KeyAt(part, d, dim), next),
                     R::kWidth);
  }
  typename R::Type Value(size_t j, size_t d, size_t in) const {
    return R::Halves(this->template Fetch<uint16_t>(values, j * dim + d, next), in);
  }
};

template <class R>
struct ByteRows : AttentionRows<R> {
  KvBlock kv;
  size_t dim, next;

  ByteRows(const KvBlock& block, size_t head_dim, size_t to_next)
      : kv(block), dim(head_dim), next(to_next) {}
  typename R::Type Key(size_t part, size_t d) const {
    const size_t i = this->KeyAt(part, d, dim), lane = i % kKeyGroup;
    const size_t scales = i / kKeyGroup / kQuantBlock * kKeyGroup + lane;
    return R::Bytes(this->template Fetch<int8_t>(kv.keys, i, next),
                    R::Halves(kv.key_scales + scales, R::kWidth));
  }
  typename R::Type Value(size_t j, size_t d, size_t) const {  // head_dim is whole blocks of 32
    const size_t i = j * dim + d;
    return R::Bytes(this->template Fetch<int8_t>(kv.values, i, next),
                    R::Everywhere(kv.value_scales[i / kQuantBlock]));
  }
};

template <class R>
struct FloatRows : AttentionRows<R> {  // expanded
  const float *keys, *values;
  size_t dim, width;

  FloatRows(const AttentionScratch& s, size_t head_dim)
      : keys(s.keys), values(s.values), dim(head_dim), width(s.width) {}
  typename R::Type Key(size_t part, size_t d) const {
    return R::Load(keys + this->KeyAt(part, d, dim));
  }
  typename R::Type Value(size_t j, size_t d, size_t) const {
    return R::Load(values + j * width + d);
  }
};

}  // namespace lockstep
