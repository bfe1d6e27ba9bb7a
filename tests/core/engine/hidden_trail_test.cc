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

void ExpectStates(const HiddenTrail& trail, size_t from, size_t to, float tag) {
  for (size_t i = from; i < to; ++i) {
    EXPECT_THAT(trail.At(i), ElementsAre(static_cast<float>(i), tag)) << i;
  }
}

TEST(HiddenTrailTest, KeepsTheLastStates) {
  HiddenTrail trail(8, 2);
  EXPECT_EQ(trail.end(), 0u);
  Put(trail, 0, 5, 1);
  EXPECT_EQ(trail.begin(), 0u);
  EXPECT_EQ(trail.end(), 5u);
  ExpectStates(trail, 0, 5, 1);
  Put(trail, 5, 30, 1);
  EXPECT_EQ(trail.begin(), 22u);
  EXPECT_EQ(trail.end(), 30u);
  ExpectStates(trail, 22, 30, 1);
}

TEST(HiddenTrailTest, WhatIsPutAnewTakesThePlaceOfWhatWasThereAndBehindIt) {
  HiddenTrail trail(8, 2);
  Put(trail, 0, 12, 1);
  Put(trail, 9, 10, 2);
  EXPECT_EQ(trail.begin(), 4u);
  EXPECT_EQ(trail.end(), 10u);
  ExpectStates(trail, 4, 9, 1);
  ExpectStates(trail, 9, 10, 2);
}

TEST(HiddenTrailTest, HasNoGaps) {
  HiddenTrail trail(8, 2);
  Put(trail, 0, 4, 1);
  Put(trail, 6, 9, 2);
  EXPECT_EQ(trail.begin(), 6u);
  EXPECT_EQ(trail.end(), 9u);
  ExpectStates(trail, 6, 9, 2);
  Put(trail, 2, 3, 3);  // before all that is kept
  EXPECT_EQ(trail.begin(), 2u);
  EXPECT_EQ(trail.end(), 3u);
  trail.Clear();
  EXPECT_EQ(trail.end(), 0u);
  Put(trail, 0, 1, 4);
  ExpectStates(trail, 0, 1, 4);
}

}  // namespace
}  // namespace lockstep
