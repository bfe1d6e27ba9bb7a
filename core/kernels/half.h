// IEEE binary16 and bfloat16 to float and back (to nearest even), without ISA extensions.
#pragma once

#include <cstdint>

namespace lockstep {

float HalfToFloat(uint16_t half);
uint16_t FloatToHalf(float value);
float BFloat16ToFloat(uint16_t value);
// NaN stays NaN; denormals are zero, as in the bfloat16 instructions.
uint16_t FloatToBFloat16(float value);

}  // namespace lockstep
