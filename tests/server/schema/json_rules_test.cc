#include "server/schema/json_rules.h"

#include <gtest/gtest.h>

#include "core/grammar/grammar.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

// The grammar of these rules, and of one more that it begins with.
std::shared_ptr<const Grammar> GrammarOf(const JsonRules& rules, std::string_view root) {
  auto grammar = ParseGbnf(rules.text() + "root ::= " + std::string(root) + "\n");
  EXPECT_TRUE(grammar.has_value()) << grammar.error().message;
  return *grammar;
}

TEST(JsonRules, AnyValueAndAnyObject) {
  const auto value = GrammarOf(JsonRules(), JsonRules::Value());
  for (const char* text : {"null", "true", "-1.5e10", "0", R"("a\n\u00e9\ud83d\ude00")", "[]",
                           "[1, [2]]", "{}", R"({"a": {"b": [false]}})"}) {
    EXPECT_TRUE(Matches(*value, text)) << text;
  }
  for (const char* text : {"", "nul", "01", "1.", "\"a", R"("\ud83d")", "[1,]", "{a: 1}", "1 2"}) {
    EXPECT_FALSE(Matches(*value, text)) << text;
  }
  const auto object = GrammarOf(JsonRules(), JsonRules::Object());
  EXPECT_TRUE(Matches(*object, R"({"a": 1, "b": "c"})"));
  EXPECT_FALSE(Matches(*object, "[]"));
  const auto nothing = GrammarOf(JsonRules(), "\"a\" | " + std::string(JsonRules::Nothing()));
  EXPECT_TRUE(Matches(*nothing, "a"));
  EXPECT_FALSE(Matches(*nothing, ""));
}

TEST(JsonRules, TextsShareWhatTheyBeginWith) {
  JsonRules rules;
  const size_t before = rules.text().size();
  const std::string root = rules.DefineTexts({"abd", "x", "abc", "x", "ab", "é", "è"});
  const auto grammar = GrammarOf(rules, root);
  for (const char* text : {"ab", "abc", "abd", "x", "é", "è"}) {
    EXPECT_TRUE(Matches(*grammar, text)) << text;
  }
  for (const char* text : {"", "a", "abcd", "xx", "\xC3", "d"}) {
    EXPECT_FALSE(Matches(*grammar, text)) << text;
  }
  EXPECT_EQ(rules.text().find("\"abc\"", before), std::string::npos);
  rules.Truncate(before);
  EXPECT_EQ(rules.text(), JsonRules().text());
}

TEST(JsonRules, NamesAreNewEachTime) {
  JsonRules rules;
  const std::string first = rules.NewName(), second = rules.NewName();
  EXPECT_NE(first, second);
  rules.Define(first, "\"a\" " + second);
  rules.Define(second, "\"b\"");
  EXPECT_TRUE(Matches(*GrammarOf(rules, first), "ab"));
}

TEST(JsonRules, ListsHaveCommasBetweenTheirItems) {
  EXPECT_EQ(Repetition(2, 5), "{2,5}");
  EXPECT_EQ(Repetition(0, std::nullopt), "{0,}");
  struct Case {
    size_t least;
    std::optional<size_t> most;
  };
  for (const auto& [least, most] : {Case{0, 0}, {0, 2}, {1, 1}, {1, 3}, {2, std::nullopt}}) {
    const auto grammar = GrammarOf(JsonRules(), List("\"a\"", least, most));
    for (size_t n = 0; n < 5; ++n) {
      std::string text;
      for (size_t i = 0; i < n; ++i) text += i == 0 ? "a" : ", a";
      EXPECT_EQ(Matches(*grammar, text), n >= least && n <= most.value_or(n)) << least << " " << n;
    }
    EXPECT_FALSE(Matches(*grammar, "a,"));
    EXPECT_FALSE(Matches(*grammar, "aa"));
  }
}

}  // namespace
}  // namespace lockstep
