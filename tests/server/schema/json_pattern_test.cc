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

bool Has(const char* pattern, const char* text) {
  const auto parsed = ParsePattern(pattern);
  EXPECT_TRUE(parsed) << pattern << " " << parsed.error().message;
  return parsed && PatternLanguage(*parsed).value().Contains(text);
}

TEST(JsonPatternTest, OtherLanguagesAndOlderExpressionsAreRead) {
  const struct {
    const char *pattern, *text, *other;
  } cases[] = {
      {R"(^a\ b\#\&\~\@\_\"\'\:\,\%\<\=\!$)", R"(a b#&~@_"':,%<=!)", "a b"},
      {"^[\\ \\#]+$", "# ", "\\"},
      {"^a\\\tb$", "a\tb", "atb"},
      {R"(^(?P<year>\d{4})$)", "2024", "204"},
      {R"(\Aab\Z)", "ab", "abc"},
      {R"(\Aab\z|^c)", "cd", "xab"},
      {R"((\Aa\Z|b\z))", "xb", "xa"},
      {R"(^\{\{[^}]+}}$)", "{{a}}", "{{a}"},
      {"^a]$", "a]", "a"},
      {"^a]{2}$", "a]]", "a]"},
  };
  for (const auto& test : cases) {
    EXPECT_TRUE(Has(test.pattern, test.text)) << test.pattern;
    EXPECT_FALSE(Has(test.pattern, test.other)) << test.pattern;
  }
  for (const char* const pattern : {R"(\a)", R"(\y)", R"(a\Ab)", R"([\A])", R"(\é)", "a{", "{a}",
                                    "(?P=n)", "(?P<n", R"((a\Z)b)"}) {
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
