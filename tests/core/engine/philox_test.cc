#include "core/engine/philox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace lockstep {
namespace {

using testing::ElementsAre;

// The known answers that come with Random123 (kat_vectors).
TEST(Philox, GivesThePublishedKnownAnswers) {
  const auto run = [](const PhiloxBlock& counter, uint32_t key0, uint32_t key1) {
    const PhiloxBlock out = Philox4x32(counter, key0, key1);
    return std::vector<uint32_t>(out.word, out.word + 4);
  };
  EXPECT_THAT(run({{0, 0, 0, 0}}, 0, 0),
              ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(run({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u),
              ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  EXPECT_THAT(run({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
              ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

TEST(Philox, UniformUsesTheTopBitsOfTwoWordsAndAllOfSeedAndPosition) {
  EXPECT_EQ(UniformAt(0, 0), static_cast<double>(0x6627e8d5e169c58dull >> 11) / 0x1p53);
  const uint64_t high = uint64_t{1} << 32;
  const std::set<double> values = {UniformAt(0, 0), UniformAt(1, 0), UniformAt(0, 1),
                                   UniformAt(high, 0), UniformAt(0, high)};
  EXPECT_EQ(values.size(), 5u);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_GE(UniformAt(9, i), 0.0);
    EXPECT_LT(UniformAt(9, i), 1.0);
  }
}

}  // namespace
}  // namespace lockstep
