#include "core/base/trusted_text.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

// Trusted runs in brackets.
std::string Marked(const TrustedText& text) {
  std::string marked;
  size_t begin = 0;
  for (const TrustedText::Run& run : text.runs()) {
    const std::string part = text.bytes().substr(begin, run.end - begin);
    marked += run.trusted ? "[" + part + "]" : part;
    begin = run.end;
  }
  return marked;
}

TrustedText Sample() {
  TrustedText text("ab", true);
  text.Append("cd", false);
  text.Append("e", true);
  return text;
}

TEST(TrustedTextTest, NeighboursOfOneKindAreOneRun) {
  TrustedText text = Sample();
  text.Append("", false);
  text.Append("f", true);
  EXPECT_EQ(Marked(text), "[ab]cd[ef]");
  EXPECT_TRUE(TrustedText("", true).runs().empty());
}

TEST(TrustedTextTest, SlicesKeepEachByteItsMark) {
  const TrustedText text = Sample();
  for (size_t begin = 0; begin <= text.size(); ++begin) {
    for (size_t end = begin; end <= text.size(); ++end) {
      const TrustedText slice = text.Slice(begin, end);
      ASSERT_EQ(slice.bytes(), text.bytes().substr(begin, end - begin));
      for (size_t i = 0; i < slice.size(); ++i) {
        EXPECT_EQ(slice.TrustedAt(i), text.TrustedAt(begin + i)) << begin << " to " << end;
      }
    }
  }
  EXPECT_EQ(Marked(text.Slice(1, 5)), "[b]cd[e]");
}

TEST(TrustedTextTest, IsTrustedAsAWholeOnlyIfEveryByteIs) {
  EXPECT_FALSE(Sample().AllTrusted());
  EXPECT_TRUE(Sample().Slice(0, 2).AllTrusted());
  EXPECT_TRUE(TrustedText().AllTrusted());
}

}  // namespace
}  // namespace lockstep
