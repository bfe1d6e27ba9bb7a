#include "server/schema/language.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

Language Letters(char low, char high, size_t min, std::optional<size_t> max) {
  const auto first = static_cast<uint32_t>(low), last = static_cast<uint32_t>(high);
  return Language({{true, {{{first, last}, 0}}}}).WithLength(min, max).value();
}

TEST(LanguageTest, CombinesLikeSets) {
  const Language words = Language::Words({"ab", "abc", "x", "\u00e9"});
  EXPECT_TRUE(words.Contains("ab") && words.Contains("abc") && words.Contains("\u00e9"));
  EXPECT_FALSE(words.Contains("a") || words.Contains("") || words.Contains("abcd"));
  const Language others = words.Not();
  EXPECT_FALSE(others.Contains("ab") || others.Contains("\u00e9"));
  EXPECT_TRUE(others.Contains("a") && others.Contains("") && others.Contains("abcd"));
  EXPECT_TRUE(words.And(others)->empty());
  EXPECT_TRUE(words.Not().Not().Contains("abc"));
  EXPECT_TRUE(Language::Any().Not().empty());
  const Language both = words.And(Letters('a', 'c', 3, 5)).value();
  EXPECT_TRUE(both.Contains("abc"));
  EXPECT_FALSE(both.Contains("ab") || both.Contains("x"));
}

TEST(LanguageTest, KnowsItsLengths) {
  using Lengths = std::pair<size_t, std::optional<size_t>>;
  EXPECT_EQ(Language::Any().Lengths(), Lengths(0, std::nullopt));
  EXPECT_EQ(Language::Words({"ab", "abc", "abcdef"}).Lengths(), Lengths(2, 6));
  EXPECT_EQ(Letters('a', 'z', 3, std::nullopt).Lengths(), Lengths(3, std::nullopt));
  EXPECT_EQ(Letters('a', 'z', 0, 7).Lengths(), Lengths(0, 7));
  EXPECT_TRUE(Language::Any().WithLength(0, 0)->Contains(""));
}

TEST(LanguageTest, IsBounded) {
  EXPECT_FALSE(Language::Any().WithLength(0, Language::kMaxStates + 1));
  EXPECT_TRUE(Language::Any().WithLength(0, Language::kMaxStates - 1));
}

}  // namespace
}  // namespace lockstep
