#include "core/tokenizer/char_category.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(CharCategoryTest, IsUnicodes) {
  EXPECT_EQ(CharCategory('A'), "Lu");
  EXPECT_EQ(CharCategory(0xDF), "Ll");
  EXPECT_EQ(CharCategory('7'), "Nd");
  EXPECT_EQ(CharCategory(0x4E2D), "Lo");
  EXPECT_EQ(CharCategory(0x10FFFF), "Cn");
}

TEST(LowerCaseTest, IsUnicodes) {
  EXPECT_EQ(LowerCase('A'), uint32_t{'a'});
  EXPECT_EQ(LowerCase('7'), uint32_t{'7'});
  EXPECT_EQ(LowerCase(0x3A3), 0x3C3u);
  EXPECT_EQ(LowerCase(0x10400), 0x10428u);
}

}  // namespace
}  // namespace lockstep
