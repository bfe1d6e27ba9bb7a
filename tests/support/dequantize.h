// The values of ggml's tensor formats in double precision, each by the formula of its format.
// Shares nothing with core/: what the kernels are measured against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

// `type` is the GGUF id of a weight type; NaNs for any other.
// REQUIRES: `bytes` holds the whole blocks of `values` values.
std::vector<double> Dequantize(uint32_t type, std::span<const uint8_t> bytes, size_t values);

// Where a block's halves are. `middle`: the half for the mins (or, negative, the offset) as a
// multiple of the scale that centres the values, random codes and mins being what they are.
struct Halves {
  size_t scale = 0;
  size_t min = 0;
  double middle = 0;  // 0: no min
  // What the scale is, if no half at `scale`: a byte there that is an exponent of two plus 127;
  // four bytes from there on with 4 bits of exponent and 3 of mantissa; or the upper nibbles of
  // every second byte behind it.
  enum class Form { kHalf, kPower, kSmallFloats, kNibbles } form = Form::kHalf;
};
Halves HalvesOf(uint32_t type);

double HalfToDouble(const uint8_t* p /* [2] */);

}  // namespace lockstep
