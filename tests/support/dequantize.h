// The values of ggml's tensor formats in double precision, each by the formula of its format.
// Shares nothing with core/: what the kernels are measured against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

// `type` is a GGUF type id: F32 0, F16 1, Q4_0 2, Q4_1 3, Q5_0 6, Q5_1 7, Q8_0 8, Q2_K 10, Q3_K 11,
// Q4_K 12, Q5_K 13, Q6_K 14, IQ4_NL 20, IQ4_XS 23 or BF16 30; NaNs for any other.
// REQUIRES: `bytes` holds the whole blocks of `values` values.
std::vector<double> Dequantize(uint32_t type, std::span<const uint8_t> bytes, size_t values);

double HalfToDouble(const uint8_t* p /* [2] */);

}  // namespace lockstep
