// The rules against what they stand for, over all short texts of the characters that matter.
#include "server/generation/text_rules.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/grammar/grammar.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

// All texts of up to so many of the characters.
std::vector<std::string> Texts(const std::vector<std::string>& characters, size_t longest) {
  std::vector<std::string> texts = {""};
  for (size_t begin = 0, size = 0; size < longest; ++size) {
    const size_t end = texts.size();
    for (; begin < end; ++begin) {
      for (const std::string& c : characters) texts.push_back(texts[begin] + c);
    }
  }
  return texts;
}

TEST(TextRules, ATextEndsWhereItsWordDoes) {
  for (const std::string word : {"a", "aab", "aba", "aé", "abab"}) {
    for (const bool may_end : {false, true}) {
      const auto grammar = ParseGbnf("root ::= t0\n" + TextUntil("t", word, "\"!\"", may_end));
      ASSERT_TRUE(grammar.has_value()) << grammar.error().message;
      for (const std::string& text : Texts({"a", "b", "é"}, 6)) {
        const size_t at = text.find(word);
        EXPECT_EQ(Matches(**grammar, text), may_end && at == text.npos) << word << " " << text;
        EXPECT_EQ(Matches(**grammar, text + "!"),
                  at != text.npos ? at + word.size() == text.size() : may_end)
            << word << " " << text;
      }
    }
  }
}

TEST(TextRules, ATextBeginsWithAnotherWord) {
  for (const std::string word : {"a", "aab", "éa"}) {
    const auto grammar = ParseGbnf("root ::= t0\n" + TextNotBeginningWith("t", word));
    ASSERT_TRUE(grammar.has_value()) << grammar.error().message;
    for (const std::string& text : Texts({"a", "b", "é"}, 5)) {
      EXPECT_EQ(Matches(**grammar, text), !text.starts_with(word)) << word << " " << text;
    }
  }
}

}  // namespace
}  // namespace lockstep
