#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "server/schema/json_pattern.h"

namespace lockstep {
namespace {

// All short texts of a few letters, beside the standard library's expressions.
TEST(PatternLanguageTest, IsWhatTheExpressionFinds) {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size() && texts[i].size() < 5; ++i) {
    for (const char c : {'a', 'b', '1'}) texts.push_back(texts[i] + c);
  }
  for (const char* pattern :
       {"a", "^a", "b$", "^a|b$", "^(a|b1)*$", "^a{2,3}b?$", "^[^a]+$", "^(a*b*)*1$", "a.b",
        "^(?=.*1)a", "^(?!.*b)[a1]{2}", "^(?!a$|b$).*$", "\\d\\D", "^(aa|a)(b|ab)$"}) {
    const auto language = PatternLanguage(ParsePattern(pattern).value());
    ASSERT_TRUE(language) << pattern;
    const std::regex expected(pattern, std::regex::ECMAScript);
    for (const std::string& text : texts) {
      EXPECT_EQ(language->Contains(text), std::regex_search(text, expected)) << pattern << text;
    }
  }
}

TEST(PatternLanguageTest, IsBounded) {
  EXPECT_FALSE(PatternLanguage(ParsePattern("^[ab]*a[ab]{20}$").value()));
  EXPECT_FALSE(PatternLanguage(ParsePattern("^((a{100}){100}){100}$").value()));
  EXPECT_FALSE(PatternLanguage(ParsePattern("(\\p{L}{0,200}b?){0,100}x").value()));
}

}  // namespace
}  // namespace lockstep
