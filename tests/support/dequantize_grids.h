// For dequantize.cc: value i of a block p, of the formats that have grids.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

double IQ1_S(const uint8_t* p, size_t i);
double IQ1_M(const uint8_t* p, size_t i);
double IQ2_XXS(const uint8_t* p, size_t i);
double IQ2_XS(const uint8_t* p, size_t i);
double IQ2_S(const uint8_t* p, size_t i);
double IQ3_XXS(const uint8_t* p, size_t i);
double IQ3_S(const uint8_t* p, size_t i);

}  // namespace lockstep
