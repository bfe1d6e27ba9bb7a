#include "core/tokenizer/wordpiece_characters.h"

#include <gtest/gtest.h>

#include "core/tokenizer/char_category.h"

namespace lockstep {
namespace {

TEST(WordPieceCategory, IsThatOfUnicode8) {
  EXPECT_EQ(WordPieceCategory('A'), "Lu");
  EXPECT_EQ(WordPieceCategory(0x301), "Mn");
  EXPECT_EQ(WordPieceCategory(0x890), "Cn");  // the first newer one, and those beside it
  EXPECT_EQ(WordPieceCategory(0x891), "Cn");
  EXPECT_EQ(WordPieceCategory(0x61D), "Cn");
  EXPECT_EQ(WordPieceCategory(0x61C), "Cf");
  EXPECT_EQ(WordPieceCategory(0x61E), "Po");
  EXPECT_EQ(WordPieceCategory(0x1E95F), "Cn");
  EXPECT_EQ(WordPieceCategory(0x10FFFF), "Cn");
  EXPECT_EQ(WordPieceCategory(0x166D), "Po");
  EXPECT_EQ(WordPieceCategory(0x111C9), "Po");
  EXPECT_EQ(WordPieceCategory(0x1734), "Mn");
}

}  // namespace
}  // namespace lockstep
