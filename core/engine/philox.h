// Random numbers that are a function of seed and position: a token can be drawn again without what
// was drawn before it.
#pragma once

#include <cstdint>

namespace lockstep {

// Philox4x32-10 (Salmon et al., SC 2011): 4 random words from a 128-bit counter and a 64-bit key.
struct PhiloxBlock {
  uint32_t word[4];
};
PhiloxBlock Philox4x32(const PhiloxBlock& counter, uint32_t key0, uint32_t key1);
// The draw of `position`: uniform in [0, 1), 53 bits. Each `purpose` has draws of its own.
double UniformAt(uint64_t seed, uint64_t position, uint32_t purpose = 0);

}  // namespace lockstep
