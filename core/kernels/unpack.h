// From the packed planes of layout.h to codes in whole bytes, once for registers of every width,
// each four bytes of which belong to a row. Everything is inlined, so that codes go from register
// to register.
#pragma once

#include "core/kernels/layout.h"

namespace lockstep {

// A register as bytes and as words: the compilers' own vectors, which have &, | and shifts in every
// instruction set.
template <size_t bytes>
struct PlainRegister {
  using Bytes [[gnu::vector_size(bytes)]] = uint8_t;
  using Words [[gnu::vector_size(bytes)]] = uint16_t;
};

// Bits [from, from + bits) of the bytes of v, at bit `to`. Words are shifted, as x86 cannot shift
// bytes; what crosses from one byte of a word to the other is masked off.
template <int from, int to, int bits, class V>
[[gnu::always_inline]] static inline V MoveBits(V v) {
  using Plain = PlainRegister<sizeof(V)>;
  auto words = reinterpret_cast<typename Plain::Words>(v);
  if constexpr (to > from) words <<= to - from;
  if constexpr (from > to) words >>= from - to;
  const auto mask = static_cast<uint8_t>(((1 << bits) - 1) << to);
  return reinterpret_cast<V>(reinterpret_cast<typename Plain::Bytes>(words) & mask);
}

// The codes of columns 4 * step .. + 3 of a block, of the rows that a register holds, the first of
// which `block` points to. `load` is the register's load from bytes.
template <auto load, QuantFormat format, size_t step>
[[gnu::always_inline]] static inline auto CodesAt(const uint8_t* block) {
  constexpr int kLow = static_cast<int>(format.low_bits);
  constexpr int kHigh = static_cast<int>(format.high_bits);
  constexpr int kStep = static_cast<int>(step), kShare = 8 / kLow;
  using Register = decltype(load(block));
  using Bytes = typename PlainRegister<sizeof(Register)>::Bytes;
  auto code = reinterpret_cast<Bytes>(load(block + kStep / kShare * 64));
  if constexpr (kLow < 8) code = MoveBits<kStep % kShare * kLow, 0, kLow>(code);
  if constexpr (kHigh > 0) {
    constexpr int kHighShare = 8 / kHigh;
    const auto high = load(block + LowPlaneBytes(format) + kStep / kHighShare * 64);
    code |= MoveBits<kStep % kHighShare * kHigh, kLow, kHigh>(reinterpret_cast<Bytes>(high));
  }
  return reinterpret_cast<Register>(code);
}

}  // namespace lockstep
