// The last states of a text, whichever way it has become what it is.
#include "core/engine/hidden_trail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

using testing::ElementsAre;

void Put(HiddenTrail& trail, size_t from, size_t to, float tag) {
  for (size_t i = from; i < to; ++i) {
    trail.Put(i, std::vector<float>{static_cast<float>(i), tag});
  }
}

// Holds the states of the positions from `begin` on, which were put with these tags.
void ExpectHolds(const HiddenTrail& trail, size_t begin, const std::vector<float>& tags) {
  EXPECT_EQ(trail.begin(), begin);
  ASSERT_EQ(trail.end(), begin + tags.size());
  for (size_t i = 0; i < tags.size(); ++i) {
    EXPECT_THAT(trail.At(begin + i), ElementsAre(static_cast<float>(begin + i), tags[i])) << i;
  }
}

TEST(HiddenTrailTest, KeepsTheLastStates) {
  HiddenTrail trail(8, 2);
  EXPECT_EQ(trail.end(), 0u);
  Put(trail, 0, 5, 1);
  ExpectHolds(trail, 0, {1, 1, 1, 1, 1});
  Put(trail, 5, 30, 1);
  ExpectHolds(trail, 22, {1, 1, 1, 1, 1, 1, 1, 1});
}

TEST(HiddenTrailTest, WhatIsPutAnewTakesThePlaceOfWhatWasThereAndBehindIt) {
  HiddenTrail trail(8, 2);
  Put(trail, 0, 12, 1);
  Put(trail, 9, 10, 2);
  ExpectHolds(trail, 4, {1, 1, 1, 1, 1, 2});
}

TEST(HiddenTrailTest, HasNoGaps) {
  HiddenTrail trail(8, 2);
  Put(trail, 0, 4, 1);
  Put(trail, 6, 9, 2);
  ExpectHolds(trail, 6, {2, 2, 2});
  Put(trail, 2, 3, 3);  // before all that is kept
  ExpectHolds(trail, 2, {3});
  trail.Clear();
  EXPECT_EQ(trail.end(), 0u);
  Put(trail, 0, 1, 4);
  ExpectHolds(trail, 0, {4});
}

}  // namespace
}  // namespace lockstep
