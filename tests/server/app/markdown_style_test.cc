#include "server/app/markdown_style.h"

#include <gtest/gtest.h>

#include <tuple>

namespace lockstep {
namespace {

// With names in place of the terminal's sequences.
std::string Named(std::string text) {
  const std::pair<std::string_view, std::string_view> names[] = {
      {"\033[0m", "<0>"}, {"\033[1m", "<b>"}, {"\033[36m", "<c>"}, {"\033[2m", "<f>"}};
  for (const auto& [sequence, name] : names) {
    for (size_t at; (at = text.find(sequence)) != text.npos;) {
      text.replace(at, sequence.size(), name);
    }
  }
  return text;
}

std::string Styled(std::string_view text, size_t step) {
  MarkdownStyle style(true);
  std::string out;
  for (size_t i = 0; i < text.size(); i += step) out += style.Push(text.substr(i, step));
  return Named(out + style.Finish());
}

TEST(MarkdownStyleTest, IsTheSameHoweverTheTextIsCut) {
  const std::pair<const char*, const char*> cases[] = {
      {"plain\ntext", "plain\ntext<0>"},
      {"a **bold** word", "a <0><b>bold<0> word<0>"},
      {"**Bold** first", "<0><b>Bold<0> first<0>"},
      {"call `f(**x)` now", "call <0><c>f(**x)<0> now<0>"},
      {"`f` first", "<0><c>f<0> first<0>"},
      {"# Title\nrest", "<0><b># Title<0>\nrest<0>"},
      {"#hashtag", "#hashtag<0>"},
      {"- one\n  * two\n", "\xE2\x80\xA2 one\n  \xE2\x80\xA2 two\n<0>"},
      {"-1 and *x*", "-1 and *x*<0>"},
      {"> said", "\xE2\x94\x82 said<0>"},
      {"2 * 3 ** 4", "2 * 3 ** 4<0>"},
      {"open **bold\nnext", "open <0><b>bold<0>\nnext<0>"},
      {"```py\nx = **y # `z`\n```\nend", "<f>```py<0><c>\nx = **y # `z`\n<f>```<0>\nend<0>"},
      {"```\n# no title\n- no list\n", "<f>```<0><c>\n# no title\n- no list\n<0>"},
  };
  for (const auto& [text, styled] : cases) {
    for (const size_t step : {1, 2, 3, 100}) {
      SCOPED_TRACE(std::string(text) + " by " + std::to_string(step));
      EXPECT_EQ(Styled(text, step), styled);
    }
  }
}

TEST(MarkdownStyleTest, LeavesTheTextAloneWhereNothingIsStyled) {
  MarkdownStyle style(false);
  EXPECT_EQ(style.Push("# a **b"), "# a **b");
  EXPECT_EQ(style.Finish(), "");
}

TEST(MarkdownStyleTest, HoldsNothingBackButMarks) {
  MarkdownStyle style(true);
  EXPECT_EQ(style.Push("word"), "word");
  EXPECT_EQ(style.Push(" *"), " ");
  EXPECT_EQ(style.Push("x"), "*x");
  EXPECT_EQ(style.Push("\n  "), "\n");
  EXPECT_EQ(style.Push("y"), "  y");
}

}  // namespace
}  // namespace lockstep
