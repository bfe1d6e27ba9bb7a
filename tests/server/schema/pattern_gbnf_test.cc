// Patterns as GBNF, and with bounds on the lengths of their texts.
#include <gtest/gtest.h>

#include "core/grammar/grammar.h"
#include "server/schema/json_pattern.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

bool MatchesGbnf(const std::string& body, std::string_view text) {
  const auto grammar = ParseGbnf("root ::= " + body);
  EXPECT_TRUE(grammar.has_value()) << body;
  return grammar.has_value() && Matches(**grammar, text);
}

PatternNode NodeOf(std::string_view pattern) {
  return ParsePattern(pattern, PatternAnchors::kBothEnds)->node;
}

TEST(PatternGbnf, ATextIsOneOfThePatterns) {
  const struct {
    const char* pattern;
    std::vector<const char*> accepted, refused;
  } kCases[] = {
      {"a|bc", {"a", "bc"}, {"", "b", "abc"}},
      {"(ab){2,3}", {"abab", "ababab"}, {"ab", "abababab"}},
      {"[a-c]+\\.?", {"abc", "a."}, {"", ".", "d", "a.."}},
      {"[^\"]*", {"", "x\\y", "é"}, {"\"", "a\""}},
      {"\\[\\d\\]", {"[7]"}, {"7", "[]", "[77]"}},
  };
  for (const auto& c : kCases) {
    const auto gbnf = TextPatternToGbnf(c.pattern);
    ASSERT_TRUE(gbnf.has_value()) << c.pattern;
    for (const char* text : c.accepted) EXPECT_TRUE(MatchesGbnf(*gbnf, text)) << text;
    for (const char* text : c.refused) EXPECT_FALSE(MatchesGbnf(*gbnf, text)) << text;
  }
  EXPECT_EQ(TextPatternToGbnf("^(?=a)b").error().message, "look-ahead is not supported");
  EXPECT_FALSE(TextPatternToGbnf("(").has_value());
}

TEST(PatternGbnf, ARepeatedClassTakesBounds) {
  const auto bounded = WithLengths(NodeOf("[ab]*"), 2, 3);
  ASSERT_TRUE(bounded.has_value());
  const std::string gbnf = PatternToGbnf(*bounded, "[^\\x00]");
  for (const char* text : {"ab", "aba"}) EXPECT_TRUE(MatchesGbnf(gbnf, text)) << text;
  for (const char* text : {"", "a", "abab"}) EXPECT_FALSE(MatchesGbnf(gbnf, text)) << text;
  EXPECT_FALSE(WithLengths(NodeOf("[ab]{0,2}"), 3, std::nullopt).has_value());
  EXPECT_FALSE(WithLengths(NodeOf("(ab)*"), 3, 3).has_value());  // not easily said
}

TEST(PatternGbnf, RepetitionsAreShortenedToALength) {
  const auto shorter = Shortened(NodeOf("a(bc)*"), 6);
  ASSERT_TRUE(shorter.has_value());
  const std::string gbnf = PatternToGbnf(*shorter, "[^\\x00]");
  for (const char* text : {"a", "abc", "abcbc"}) EXPECT_TRUE(MatchesGbnf(gbnf, text)) << text;
  EXPECT_FALSE(MatchesGbnf(gbnf, "abcbcbc"));
  EXPECT_FALSE(Shortened(NodeOf("abc"), 2).has_value());
}

}  // namespace
}  // namespace lockstep
