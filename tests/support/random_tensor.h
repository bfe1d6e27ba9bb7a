// Random tensors of any weight type, as a GGUF file stores them.
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
// REQUIRES: `values` of whole blocks.
std::vector<uint8_t> RandomTensorBytes(Random& random, WeightType type, size_t values, double std);

// Where a block of a quantized type keeps its halves, in bytes; {0} for the others.
std::vector<size_t> HalfOffsets(WeightType type);

}  // namespace lockstep
