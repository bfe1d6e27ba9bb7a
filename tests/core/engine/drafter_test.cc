#include "core/engine/drafter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "tests/support/random.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Drafter DrafterOf(std::initializer_list<int32_t> tokens) {
  Drafter drafter;
  drafter.Reset(1000, 16);
  drafter.Extend(tokens);
  return drafter;
}

TEST(DrafterTest, GuessesWhatFollowedTheSameTokens) {
  Drafter drafter = DrafterOf({1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4});
  EXPECT_THAT(drafter.Draft({3, 0}), ElementsAre(5, 6, 7));
  EXPECT_THAT(drafter.Draft({0, 0}), IsEmpty());
}

TEST(DrafterTest, GuessesNothingBehindWhatIsNew) {
  EXPECT_THAT(DrafterOf({}).Draft({4, 0}), IsEmpty());
  EXPECT_THAT(DrafterOf({1}).Draft({4, 0}), IsEmpty());
  EXPECT_THAT(DrafterOf({1, 2}).Draft({4, 0}), IsEmpty());
  EXPECT_THAT(DrafterOf({1, 2, 3, 4, 5, 6}).Draft({4, 0}), IsEmpty());
  // One token that is the same is little.
  EXPECT_THAT(DrafterOf({1, 2, 3, 9, 3}).Draft({4, 0.2}), IsEmpty());
  EXPECT_THAT(DrafterOf({1, 2, 3, 9, 3}).Draft({1, 0}), ElementsAre(9));
}

TEST(DrafterTest, TheLongestPastWinsAndTheNewestAmongEquals) {
  EXPECT_THAT(DrafterOf({9, 1, 2, 3, 40, 8, 1, 2, 3, 50, 9, 1, 2, 3}).Draft({1, 0}),
              ElementsAre(40));
  EXPECT_THAT(DrafterOf({9, 1, 2, 3, 40, 9, 1, 2, 3, 50, 9, 1, 2, 3}).Draft({1, 0}),
              ElementsAre(50));
}

TEST(DrafterTest, ARepetitionGoesOn) {
  EXPECT_THAT(DrafterOf({7, 7, 7, 7}).Draft({4, 0}), ElementsAre(7, 7, 7, 7));
  EXPECT_THAT(DrafterOf({1, 2, 3, 1, 2, 3, 1, 2}).Draft({5, 0}), ElementsAre(3, 1, 2, 3, 1));
}

TEST(DrafterTest, AFirstGuessMayHaveToBeSurer) {
  EXPECT_THAT(DrafterOf({1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4}).Draft({3, 0, 0.2}),
              ElementsAre(5, 6, 7));
  EXPECT_THAT(DrafterOf({1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4}).Draft({3, 0, 0.9}), IsEmpty());
}

// Two texts of the same matches, one of which never goes on as it did before.
TEST(DrafterTest, LearnsHowSureItIs) {
  Drafter right, wrong;
  right.Reset(10'000, 16);
  wrong.Reset(10'000, 16);
  for (int32_t i = 0; i < 100; ++i) {
    for (Drafter* const drafter : {&right, &wrong}) {
      for (const int32_t token : {1, 2, 3}) drafter->Extend({{token}});
      (void)drafter->Draft({16, 1});
    }
    right.Extend({{4}});
    wrong.Extend({{100 + i}});
  }
  for (Drafter* const drafter : {&right, &wrong}) drafter->Extend({{1, 2, 3}});
  EXPECT_THAT(right.Draft({1, 0.9}), ElementsAre(4));
  EXPECT_THAT(wrong.Draft({1, 0.1}), IsEmpty());
  EXPECT_THAT(wrong.Draft({1, 0}), ElementsAre(199));
}

// What follows twice alike, and what follows the same tokens in two ways.
TEST(DrafterTest, ASecondMatchThatDiffersEndsADraft) {
  Drafter drafter;
  drafter.Reset(10'000, 16);
  for (int32_t i = 0; i < 20; ++i) {
    for (const int32_t token : {1, 2, 3, 4, 5, 100 + i, 6, 7, 8, 9}) {
      drafter.Extend({{token}});
      (void)drafter.Draft({16, 1});
    }
  }
  drafter.Extend({{1, 2}});
  EXPECT_THAT(drafter.Draft({16, 0.5}), ElementsAre(3, 4, 5));
  EXPECT_THAT(drafter.Draft({5, 0}), ElementsAre(3, 4, 5, 119, 6));
}

TEST(DrafterTest, ALiteralReplacesWhatIsOtherwiseAndNoLongerDraft) {
  Drafter drafter = DrafterOf({1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3});
  EXPECT_THAT(drafter.Draft({4, 0}, {{4, 5}}), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(drafter.Draft({4, 0}, {{4, 7}}), ElementsAre(4, 7));
  EXPECT_THAT(drafter.Draft({2, 0.9}, {{4, 5, 6}}), ElementsAre(4, 5));
  EXPECT_THAT(drafter.Draft({9, 0.9}, {{8, 8, 8, 8, 8}}), ElementsAre(8, 8));
  EXPECT_THAT(drafter.Draft({0, 0}, {{8}}), IsEmpty());
}

// A program of many functions, each of which is written again with other names: behind the first
// ones, both what is copied and what becomes of the names is guessed, and only the names that are
// new in each function are not.
TEST(DrafterTest, ATextThatIsWrittenAgainWithChangesIsGuessed) {
  constexpr int32_t kOld = 9000, kNew = 9001, kFunctions = 12;
  const auto function = [](int32_t i, int32_t name) {
    std::vector<int32_t> out = {1000 + i, 1, 2, name, 3, 4, 5, 6, 7, 8, 2000 + i};
    out.insert(out.end(), {9, 10, 11, name, 12, 13, 14, 15, 16, 17, 18, name, 19});
    return out;
  };
  Drafter drafter;
  drafter.Reset(10'000, 16);
  for (int32_t i = 0; i < kFunctions; ++i) drafter.Extend(function(i, kOld));
  std::vector<int32_t> answer;
  for (int32_t i = 0; i < kFunctions; ++i)
    std::ranges::copy(function(i, kNew), std::back_inserter(answer));
  size_t steps = 0, guessed = 0, rows = 0;
  for (size_t i = 0; i < answer.size(); ++steps) {
    const std::span<const int32_t> draft = drafter.Draft({16, 0.3});
    size_t right = 0;
    while (right < draft.size() && i + right < answer.size() && draft[right] == answer[i + right]) {
      ++right;
    }
    const size_t kept = std::min(right + 1, answer.size() - i);
    rows += draft.size();
    guessed += right;
    drafter.Extend(std::span(answer).subspan(i, kept));
    i += kept;
  }
  EXPECT_LT(steps, 48u) << "of " << answer.size() << " tokens";
  EXPECT_GT(guessed, rows * 7 / 10) << rows;
}

// What it guesses follows, in the text, a token that is the same as the last one.
TEST(DrafterTest, EveryGuessHasStoodThere) {
  Random random(7);
  Drafter drafter;
  drafter.Reset(2000, 8);
  std::vector<int32_t> text;
  size_t guesses = 0;
  for (int i = 0; i < 2000; ++i) {
    text.push_back(static_cast<int32_t>(random.Below(6)));
    drafter.Extend({{text.back()}});
    const std::span<const int32_t> draft = drafter.Draft({1, 0});
    if (draft.empty()) continue;
    ++guesses;
    std::vector<int32_t> pattern(text.end() - 1, text.end());
    pattern.push_back(draft[0]);
    EXPECT_NE(std::search(text.begin(), text.end(), pattern.begin(), pattern.end()), text.end());
  }
  EXPECT_GT(guesses, 1500u);
}

}  // namespace
}  // namespace lockstep
