#include "server/generation/tag_text.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(TagText, IsTrimmedOfATemplatesSpace) {
  const struct {
    std::string_view text, left, right;
  } kCases[] = {{" a \t\r\n", "a \t\r\n", " a"},
                {"a b", "a b", "a b"},
                {" \n", "", ""},
                {"\u00a0a", "\u00a0a", "\u00a0a"}};  // which templates do not trim either
  for (const auto& c : kCases) {
    EXPECT_EQ(LeftTrimmed(c.text), c.left);
    EXPECT_EQ(RightTrimmed(c.text), c.right);
  }
}

// Of two texts, where what they share ends: by characters, and by tags and words.
struct Pair {
  std::string_view a, b;
  size_t letters, words;
};

TEST(TagText, ABeginningEndsInFrontOfATagThatDiffers) {
  for (const auto& [a, b, letters, words] : {Pair{"", "a", 0, 0},
                                             {"ab", "abc", 2, 2},
                                             {"x<|START_ACTION|>", "x<|START_RESPONSE|>", 9, 1},
                                             {"x[TOOL]", "x[TALK]", 3, 1},
                                             {"<a>b", "<a>c", 3, 3},           // the tag is whole
                                             {"1 < 2 a", "1 < 2 b", 6, 6}}) {  // and here is none
    EXPECT_EQ(CommonPrefix(a, b), letters) << a;
    EXPECT_EQ(CommonBegin(a, b), words) << a;
  }
}

TEST(TagText, AnEndBeginsWhereAWordOfAFormMay) {
  for (const auto& [a, b, letters, words] : {Pair{"a", "", 0, 0},
                                             {"xabc", "yabc", 3, 3},
                                             {"one</end>", "tone</end>", 9, 6},
                                             {"1} b", "2} b", 3, 2}}) {  // the brace closes
    EXPECT_EQ(CommonSuffix(a, b), letters) << a;
    EXPECT_EQ(NaturalSuffix(a, b), words) << a;
  }
}

TEST(TagText, TagsAreFoundAtBothEnds) {
  const struct {
    std::string_view text, first, last;
  } kCases[] = {{"<a>b<c>", "<a>", "<c>"},
                {"[a] b[c]", "[a]", "[c]"},
                {"a<b> ", "", ""},
                {"<never", "<never", ""},
                {"a>", "", ""},
                {"", "", ""}};
  for (const auto& c : kCases) {
    EXPECT_EQ(TagAtBegin(c.text), c.first) << c.text;
    EXPECT_EQ(TagAtEnd(c.text), c.last) << c.text;
  }
}

}  // namespace
}  // namespace lockstep
