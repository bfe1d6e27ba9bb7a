// Random tensors in any of ggml's formats that Dequantize knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kernels/layout.h"
#include "tests/support/random.h"

namespace lockstep {

// The bytes of `values` values with mean about 0 and standard deviation about `std`. Of quantized
// types every code, scale and min is drawn from all of its bit patterns; only a block's halves are
// chosen, of either sign, so that its size fits.
// REQUIRES: a type that Dequantize knows, and `values` of whole blocks.
std::vector<uint8_t> RandomTensorBytes(Random& random, uint32_t type, size_t values, double std);

// The GGUF type id of the kernels' type.
uint32_t GgufTypeOf(WeightType type);

}  // namespace lockstep
