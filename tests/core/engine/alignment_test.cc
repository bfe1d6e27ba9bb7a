#include "core/engine/alignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {
namespace {

using Tokens = std::vector<int32_t>;

// Letters for tokens: a text whose source is its beginning, from the second letter on.
class AlignmentTest : public testing::Test {
 protected:
  void Source(const std::string& letters) {
    text_ = Tokens{0};
    text_.insert(text_.end(), letters.begin(), letters.end());
    alignment_.Reset();
    alignment_.Start(1);
  }
  void Write(const std::string& letters) {
    for (const char letter : letters) {
      if (alignment_.active()) alignment_.Follow(text_, letter);
      text_.push_back(letter);
    }
  }
  // What is expected to follow.
  std::string Expected(size_t count) const {
    std::string out;
    Alignment::Cursor cursor = alignment_.cursor();
    while (alignment_.active() && out.size() < count && cursor.source < text_.size()) {
      out += static_cast<char>(alignment_.Next(text_, &cursor).token);
    }
    return out;
  }
  size_t Kind() const {
    Alignment::Cursor cursor = alignment_.cursor();
    return alignment_.Next(text_, &cursor).kind;
  }

  Alignment alignment_;
  Tokens text_;
};

TEST_F(AlignmentTest, NothingIsFollowedBeforeAStart) {
  Alignment alignment;
  alignment.Reset();
  EXPECT_FALSE(alignment.active() || alignment.sure());
}

TEST_F(AlignmentTest, ACopyGoesOnAndBecomesSure) {
  Source("abcdefghijklmnop");
  EXPECT_EQ(Expected(3), "abc");
  EXPECT_FALSE(alignment_.sure());
  Write("abcdef");
  EXPECT_EQ(Expected(3), "ghi");
  EXPECT_TRUE(alignment_.sure());
}

TEST_F(AlignmentTest, OneTokenInThePlaceOfOneIsExpectedAgain) {
  Source("x=a+1;return a;y=a;");
  Write("x=b");
  EXPECT_EQ(Expected(3), "+1;");  // behind it already, and before it is known to be a change
  Write("+");
  EXPECT_EQ(Expected(15), "1;return b;y=b;");
  Write("1;return b;");
  EXPECT_EQ(Expected(4), "y=b;");
  Source("abcdefgh");  // forgets the change
  EXPECT_EQ(Expected(3), "abc");
}

TEST_F(AlignmentTest, ChangesOfOtherLengthsAreExpectedAgain) {
  const struct {
    const char *source, *written, *expected;
  } kCases[] = {
      {"x=a+1;return a;y=a;", "x=long+1;", "return long;"},
      {"x=a+1;return a;y=a;", "x=long+1;return lo", "ng;y=l"},  // in the midst of the change
      {"x=long+1;return long;", "x=a+1;", "return a;"},
      {"f(a,b);g(a,b);", "f(*a,b", ");g(*a,b)"},  // inserted
      {"f(*a,b);g(*a,b);", "f(a,b", ");g(a,b)"},  // left out
  };
  for (const auto& test : kCases) {
    Source(test.source);
    Write(test.written);
    EXPECT_EQ(Expected(std::string_view(test.expected).size()), test.expected) << test.written;
  }
}

TEST_F(AlignmentTest, AChangeThatDoesNotHoldIsForgotten) {
  Source("x=a+1;y=a+2;z=a+3;");
  Write("x=b+1;y=");
  EXPECT_EQ(Expected(2), "b+");
  Write("a");
  EXPECT_EQ(Expected(7), "+2;z=a+");
}

TEST_F(AlignmentTest, WhatLeavesItsSourceForGoodIsGivenUp) {
  Source("abcdefghijkl");
  Write("abcd");
  Write("123456");
  EXPECT_TRUE(alignment_.active());
  Write("7");
  EXPECT_FALSE(alignment_.active());
  Source("abcdefghijkl");
  Write("a1c2e3");  // every other token is wrong
  EXPECT_FALSE(alignment_.active());
}

TEST_F(AlignmentTest, TellsApartWhatAnExpectationRestsOn) {
  Source("abcdefghijka-a-a-bbbbbbbbbbbbbb");
  const size_t unsure = Kind();
  Write("abcdefghijk");
  const size_t copied = Kind();
  EXPECT_NE(copied, unsure);
  Write("x");
  const size_t left = Kind();
  Write("-");
  const size_t once = Kind();  // a became x
  Write("x-");
  const size_t often = Kind();
  EXPECT_EQ(std::set<size_t>({unsure, copied, left, once, often}).size(), 5u);
  for (const size_t kind : {unsure, copied, left, once, often}) EXPECT_LT(kind, Alignment::kKinds);
}

// It may run into the text that is written, and then to its end.
TEST_F(AlignmentTest, EndsWhereTheTextDoes) {
  Source("abcd");
  Write("abcdabcd");
  EXPECT_EQ(Expected(20), "abcd");
  text_.resize(9);  // the source ends where the text does
  text_.resize(alignment_.cursor().source);
  Write("z");
  EXPECT_FALSE(alignment_.active());
}

}  // namespace
}  // namespace lockstep
