#include "server/schema/char_classes.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(CharClassesTest, CategoriesHaveShortAndLongNames) {
  ASSERT_NE(CharsOfCategory("Lu"), nullptr);
  EXPECT_EQ(CharsOfCategory("Lu"), CharsOfCategory("gc=Uppercase_Letter"));
  EXPECT_EQ(CharsOfCategory("Lu")->front().low, uint32_t{'A'});
  EXPECT_EQ(CharsOfCategory("N")->front().high, uint32_t{'9'});
  EXPECT_EQ(CharsOfCategory("Klingon"), nullptr);
  EXPECT_EQ(CharsOfCategory(""), nullptr);
}

}  // namespace
}  // namespace lockstep
