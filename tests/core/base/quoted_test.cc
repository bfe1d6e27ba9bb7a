#include "core/base/quoted.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(TextTest, WellFormedUtf8) {
  for (const char* text :
       {"", "plain", "\u00e9", "\u2581the", "\U0001F600", "\uD7FF", "\uE000", "\U0010FFFF"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
}

TEST(TextTest, IllFormedUtf8) {
  for (const char* text :
       {"\x80", "\xFF", "a\xC3", "\xC0\xAF", "\xC1\x81", "\xE0\x80\xAF", "\xED\xA0\x80",
        "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xE2\x96", "\xE2\x96z", "\xF5\x80\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(text)) << Quoted(text);
  }
}

TEST(TextTest, QuotedEscapesWhatATerminalMayActOn) {
  EXPECT_EQ(Quoted("a\x1b[31m\n"), "\"a\\x1b[31m\\x0a\"");
  EXPECT_EQ(Quoted("say \"hi\" \\"), "\"say \\\"hi\\\" \\\\\"");
  EXPECT_EQ(Quoted("\xC2\x9Bm"), "\"\\xc2\\x9bm\"");  // C1: CSI
  EXPECT_EQ(Quoted("\xFF\u2581x\x7f"), "\"\\xff\u2581x\\x7f\"");
  EXPECT_EQ(Quoted(std::string_view("\0", 1)), "\"\\x00\"");
}

TEST(TextTest, QuotedCutsLongText) {
  EXPECT_EQ(Quoted(std::string(10, 'a'), 10), '"' + std::string(10, 'a') + '"');
  EXPECT_EQ(Quoted(std::string(11, 'a'), 10), '"' + std::string(10, 'a') + "...\"");
  EXPECT_EQ(Escaped("\u2581\u2581\u2581", 4), "\u2581\u2581...");  // never within a character
}

}  // namespace
}  // namespace lockstep
