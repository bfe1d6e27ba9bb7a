// Ten rounds of two multiplications, whose halves change places: it passes the statistical tests of
// generators with a state, and has none (Salmon et al., 2011).
#include "core/engine/philox.h"

namespace lockstep {

PhiloxBlock Philox4x32(const PhiloxBlock& counter, uint32_t key0, uint32_t key1) {
  PhiloxBlock c = counter;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c.word[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c.word[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.word[1] ^ key0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.word[3] ^ key1, static_cast<uint32_t>(p0)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

double UniformAt(uint64_t seed, uint64_t position, uint32_t purpose) {
  const PhiloxBlock counter{
      {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), purpose, 0}};
  const PhiloxBlock random =
      Philox4x32(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  const uint64_t bits = uint64_t{random.word[0]} << 32 | random.word[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace lockstep
