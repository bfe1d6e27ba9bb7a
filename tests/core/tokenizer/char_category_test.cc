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

}  // namespace
}  // namespace lockstep
