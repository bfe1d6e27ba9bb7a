#include "core/tokenizer/normal_form.h"

#include <gtest/gtest.h>

#include "tests/support/repeated.h"

namespace lockstep {
namespace {

TEST(ComposeUtf8, BringsTextToNfc) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"", ""},
      {"plain", "plain"},
      {"e\u0301te\u0301", "été"},
      {"\u0061\u0328\u0301", "\u0105\u0301"},  // as far as characters exist
      {"a\u0301\u0328", "\u0105\u0301"},       // marks are put in order first
      {"\u1112\u1161\u11ab", "한"},
      {"\u212b \u2126", "\u00c5 \u03a9"},
      {"\u0958", "\u0915\u093c"},  // excluded from composition
      {"ﬁ½①", "ﬁ½①"},              // NFC, not NFKC
      {std::string_view("a\0e\u0301", 5), std::string_view("a\0é", 4)},
  };
  for (const auto& [text, composed] : kCases) {
    EXPECT_EQ(ComposeUtf8(text), composed);
    EXPECT_EQ(ComposeUtf8(composed), composed);
  }
}

TEST(ComposeUtf8, LeavesInvalidBytesAlone) {
  EXPECT_EQ(ComposeUtf8("e\u0301\xFF"
                        "e\u0301\xE2\x82"),
            "é\xFF"
            "é\xE2\x82");
  EXPECT_EQ(ComposeUtf8("\xC3"), "\xC3");
}

// In one piece, sorting these marks would take hours.
TEST(ComposeUtf8, ManyMarks) {
  const std::string marks = Repeated("\u0301", 500'000) + Repeated("\u0328", 500'000);
  EXPECT_EQ(ComposeUtf8("e" + marks).substr(0, 2), "é");
  EXPECT_EQ(ComposeUtf8(Repeated("\u0301\u0328", 40)),
            Repeated("\u0328", 32) + Repeated("\u0301", 32) + Repeated("\u0328", 8) +
                Repeated("\u0301", 8));
}

TEST(DecomposeUtf8, BringsTextToNfd) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"", ""},
      {"plain", "plain"},
      {"é", "e\u0301"},
      {"\u1e69", "s\u0323\u0307"},
      {"a\u0301\u0328", "a\u0328\u0301"},  // marks are put in order
      {"한", "\u1112\u1161\u11ab"},
      {"\uf900", "\u8c48"},
      {"ﬁ½①", "ﬁ½①"},  // NFD, not NFKD
      {"é\xFF"
       "é",
       "e\u0301\xFF"
       "e\u0301"},
  };
  for (const auto& [text, decomposed] : kCases) {
    EXPECT_EQ(DecomposeUtf8(text), decomposed);
    EXPECT_EQ(DecomposeUtf8(decomposed), decomposed);
  }
}

}  // namespace
}  // namespace lockstep
