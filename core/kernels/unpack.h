// From the packed planes of layout.h to codes in whole bytes, once over registers B of bytes, each
// four of which belong to a row. Everything is inlined, so that codes go from register to register.
#pragma once

#include "core/kernels/formulas.h"

namespace lockstep {

// The bytes of a register. Shifts may carry bits into the neighbours of a byte: they are masked
// off.
template <class B>
concept ByteRegister = requires(typename B::Type v, const uint8_t* from) {
  { B::Load(from) } -> std::same_as<typename B::Type>;
  { B::Broadcast(uint8_t{1}) } -> std::same_as<typename B::Type>;
  { B::And(v, v) } -> std::same_as<typename B::Type>;
  { B::Or(v, v) } -> std::same_as<typename B::Type>;
  { B::template ShiftLeft<1>(v) } -> std::same_as<typename B::Type>;
  { B::template ShiftRight<1>(v) } -> std::same_as<typename B::Type>;
};

// Bits [from, from + bits) of the bytes of v, at bit `to`.
template <ByteRegister B, int from, int to, int bits>
[[gnu::always_inline]] static inline typename B::Type MoveBits(typename B::Type v) {
  if constexpr (to > from) v = B::template ShiftLeft<to - from>(v);
  if constexpr (from > to) v = B::template ShiftRight<from - to>(v);
  return B::And(v, B::Broadcast(static_cast<uint8_t>(((1 << bits) - 1) << to)));
}

// The codes of columns 4 * step .. + 3 of a block, of the rows that a register holds, the first of
// which `block` points to.
template <ByteRegister B, QuantFormat format, size_t step>
[[gnu::always_inline]] static inline typename B::Type CodesAt(const uint8_t* block) {
  constexpr int kLow = static_cast<int>(format.low_bits);
  constexpr int kHigh = static_cast<int>(format.high_bits);
  constexpr int kStep = static_cast<int>(step), kShare = 8 / kLow;
  typename B::Type code = B::Load(block + kStep / kShare * 64);
  if constexpr (kLow < 8) code = MoveBits<B, kStep % kShare * kLow, 0, kLow>(code);
  if constexpr (kHigh > 0) {
    constexpr int kHighShare = 8 / kHigh;
    const auto high = B::Load(block + LowPlaneBytes(format) + kStep / kHighShare * 64);
    code = B::Or(code, MoveBits<B, kStep % kHighShare * kHigh, kLow, kHigh>(high));
  }
  return code;
}

}  // namespace lockstep
