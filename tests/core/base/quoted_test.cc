#include "core/base/quoted.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Quoted, EscapesWhatATerminalMayActOn) {
  EXPECT_EQ(Quoted("a\x1b[31m\n"), "\"a\\x1b[31m\\x0a\"");
  EXPECT_EQ(Quoted("say \"hi\" \\"), "\"say \\\"hi\\\" \\\\\"");
  EXPECT_EQ(Quoted("\xC2\x9Bm"), "\"\\xc2\\x9bm\"");  // C1: CSI
  EXPECT_EQ(Quoted("\xFF\u2581x\x7f"), "\"\\xff\u2581x\\x7f\"");
  EXPECT_EQ(Quoted(std::string_view("\0", 1)), "\"\\x00\"");
}

TEST(Quoted, CutsLongText) {
  EXPECT_EQ(Quoted(std::string(10, 'a'), 10), '"' + std::string(10, 'a') + '"');
  EXPECT_EQ(Quoted(std::string(11, 'a'), 10), '"' + std::string(10, 'a') + "...\"");
  EXPECT_EQ(Escaped("\u2581\u2581\u2581", 4), "\u2581\u2581...");  // never within a character
}

TEST(TextTest, NamesAreListedAsInASentence) {
  const std::string names[] = {"a", "b", "c"};
  EXPECT_EQ(Listed({}), "");
  EXPECT_EQ(Listed(std::span(names).first(1)), "a");
  EXPECT_EQ(Listed(std::span(names).first(2)), "a and b");
  EXPECT_EQ(Listed(names), "a, b and c");
}

}  // namespace
}  // namespace lockstep
