// Characters as GBNF has them, and that it reads them as what they were.
#include <gtest/gtest.h>

#include <utility>

#include "core/base/utf8.h"
#include "core/grammar/grammar.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

TEST(GbnfText, ALiteralEscapesWhatWouldEndItOrCannotBeSeen) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"", R"("")"},           {"a'b", R"("a'b")"},
      {"\"\\", R"("\"\\")"},   {"\n\t\x7F", R"("\x0A\x09\x7F")"},
      {"[é]你", R"("[é]你")"},
  };
  for (const auto& [text, literal] : kCases) {
    EXPECT_EQ(GbnfLiteral(text), literal);
    const auto grammar = ParseGbnf("root ::= " + GbnfLiteral(text));
    ASSERT_TRUE(grammar.has_value()) << literal;
    EXPECT_TRUE(Matches(**grammar, text)) << literal;
    EXPECT_FALSE(Matches(**grammar, std::string(text) + "x")) << literal;
  }
}

TEST(GbnfText, ACharacterOfAClassIsNoneOfItsSigns) {
  const std::pair<uint32_t, std::string_view> kCases[] = {
      {'a', "a"},      {'-', R"(\x2D)"}, {'^', R"(\x5E)"},  {']', R"(\])"}, {'[', R"(\[)"},
      {'\\', R"(\\)"}, {'"', "\""},      {0x1F, R"(\x1F)"}, {0x4F60, "你"}};
  for (const auto& [code_point, text] : kCases) {
    EXPECT_EQ(GbnfClassChar(code_point), text);
    // First, in the middle and last, where a sign would be one.
    const std::string c = GbnfClassChar(code_point);
    const auto grammar = ParseGbnf("root ::= [" + c + "q" + c + "z" + c + "]");
    ASSERT_TRUE(grammar.has_value()) << text;
    std::string character;
    AppendUtf8(code_point, &character);
    EXPECT_TRUE(Matches(**grammar, character)) << text;
    EXPECT_TRUE(Matches(**grammar, "q")) << text;
    EXPECT_FALSE(Matches(**grammar, "r")) << text;
  }
}

}  // namespace
}  // namespace lockstep
