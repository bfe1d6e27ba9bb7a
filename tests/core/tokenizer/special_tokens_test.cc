#include "core/tokenizer/special_tokens.h"

#include <gtest/gtest.h>

#include <string>

namespace lockstep {
namespace {

// "12[id]3": the text with its matches in brackets.
std::string Marked(const SpecialTokenFinder& finder, std::string_view text) {
  std::string out;
  size_t begin = 0;
  while (const auto match = finder.Next(text, begin)) {
    out += text.substr(begin, match->begin - begin);
    out.append("[").append(std::to_string(match->id)).append("]");
    begin = match->end;
  }
  return out.append(text.substr(begin));
}

TEST(SpecialTokenFinder, FindsNothingWhenEmpty) {
  EXPECT_EQ(Marked(SpecialTokenFinder(), "<s>"), "<s>");
}

TEST(SpecialTokenFinder, TheFirstThenTheLongestWins) {
  SpecialTokenFinder finder;
  finder.Add("<s>", 1);
  finder.Add("<s><s>x", 2);
  finder.Add("<ss>", 3);
  finder.Add("s>", 4);
  EXPECT_EQ(Marked(finder, "a<s>b"), "a[1]b");
  EXPECT_EQ(Marked(finder, "<s><s><s>x"), "[1][2]");
  EXPECT_EQ(Marked(finder, "<s><s>"), "[1][1]");
  EXPECT_EQ(Marked(finder, "<<ss>"), "<[3]");
  EXPECT_EQ(Marked(finder, "<sss>"), "<ss[4]");
  EXPECT_EQ(Marked(finder, "<s"), "<s");
  EXPECT_EQ(Marked(finder, ""), "");
}

TEST(SpecialTokenFinder, TakesAnyBytes) {
  SpecialTokenFinder finder;
  finder.Add(std::string_view("\0\xFF", 2), 5);
  EXPECT_EQ(Marked(finder, std::string_view("\xFF\0\xFF\0", 4)), std::string("\xFF[5]\0", 5));
}

}  // namespace
}  // namespace lockstep
