#include "core/jinja/string_literal.h"

#include <gtest/gtest.h>

namespace lockstep::jinja {
namespace {

// The wanted texts are those of Python's literals.
TEST(StringLiteral, ResolvesPythonsEscapes) {
  const std::pair<const char*, std::string> cases[] = {
      {"plain", "plain"},
      {R"(\n\r\t\a\b\f\v\\\'\")", "\n\r\t\a\b\f\v\\'\""},
      {R"(\x41\u00e9\U0001F600)", "A\u00e9\U0001F600"},
      {R"(\101\7)", "A\a"},
      {"a\\\nb", "ab"},
      {R"(\d\-)", R"(\d\-)"},
  };
  for (const auto& [text, want] : cases) {
    std::string error;
    EXPECT_EQ(UnescapeLiteral(text, &error), want) << text;
    EXPECT_EQ(error, "") << text;
  }
}

TEST(StringLiteral, NamesTheEscapeThatNamesNothing) {
  for (const char* text : {R"(\x4)", R"(\u12g4)", R"(\ud800)", R"(\U00110000)"}) {
    std::string error;
    UnescapeLiteral(text, &error);
    EXPECT_NE(error.find("which names no character"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace lockstep::jinja
