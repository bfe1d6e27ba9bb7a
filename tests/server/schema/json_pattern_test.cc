#include "server/schema/json_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace lockstep {
namespace {

TEST(JsonPatternTest, TreesAreBounded) {
  EXPECT_FALSE(ParsePattern(std::string(41, '(') + std::string(41, ')')));
  EXPECT_TRUE(ParsePattern(std::string(40, '(') + std::string(40, ')')));
  EXPECT_FALSE(ParsePattern(std::string(20'000, 'a')));
}

TEST(JsonPatternTest, ConditionsStandApart) {
  const Pattern pattern = ParsePattern("^(?=a)(?!b$)c").value();
  ASSERT_EQ(pattern.conditions.size(), 2u);
  EXPECT_FALSE(pattern.conditions[0].negated);
  EXPECT_TRUE(pattern.conditions[1].negated);
  EXPECT_FALSE(ParsePattern("^(?=a)c|d"));
  EXPECT_FALSE(ParsePattern("(?=a)c"));
}

// ECMA-262's anchors bind the alternative that they stand in, and in such a group nothing else.
TEST(JsonPatternTest, AGroupThatIsAllOfAnAlternativeHasItsAnchors) {
  const std::pair<const char*, const char*> cases[] = {{"(^a|b$)", "^a|b$"},
                                                       {"(?:^a$|^b$)", "^a$|^b$"},
                                                       {"(?<n>(^$|^[)^]x))", "^$|^[)^]x"},
                                                       {"x|(^a$)|y", "x|^a$|y"},
                                                       {"(^\\)a|\\(b$)", "^\\)a|\\(b$"}};
  const auto language = [](const char* pattern) {
    return PatternLanguage(ParsePattern(pattern).value()).value();
  };
  for (const auto& [grouped, bare] : cases) {
    ASSERT_TRUE(ParsePattern(grouped)) << ParsePattern(grouped).error().message;
    for (const char* const text : {"", "a", "b", "ab", "ba", "xa", "ax", "bx", "^x", "x^", ")x",
                                   "y", ")a", "(b", ")a(b", "x)a"}) {
      EXPECT_EQ(language(grouped).Contains(text), language(bare).Contains(text))
          << grouped << " " << text;
    }
  }
  for (const char* const pattern :
       {"(^a|b)c", "c(^a|b$)", "(^a)+", "^(^a|b)", "((^a)b)", "(^a|b)$", "(^(?=a)b|c)", "(^a"}) {
    EXPECT_FALSE(ParsePattern(pattern)) << pattern;
  }
}

TEST(JsonPatternTest, LengthsOfARepeatedClassAreItsNumbers) {
  const auto bounded = WithLengths(ParsePattern("^[a-z]+$")->node, 3, 10'000);
  ASSERT_TRUE(bounded);
  EXPECT_EQ(PatternToGbnf(*bounded, "any"), "([a-z]){3,10000}");
  EXPECT_TRUE(WithLengths(ParsePattern("^ab?$")->node, 1, 2));
  EXPECT_FALSE(WithLengths(ParsePattern("^ab*$")->node, 1, 2));
}

TEST(JsonPatternTest, AWholeTextIsAnchoredAndNotEscaped) {
  EXPECT_EQ(TextPatternToGbnf("a|^b$").value(), "([a]  | [b] )");
  EXPECT_EQ(TextPatternToGbnf("[\"x]{2}").value(), "([\"x]{2,2} )");
  EXPECT_FALSE(TextPatternToGbnf("^(?=a)b"));
}

}  // namespace
}  // namespace lockstep
