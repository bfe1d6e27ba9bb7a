#include "core/kernels/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

TEST(HalfTest, EveryHalfSurvivesTheWayToFloatAndBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<uint16_t>(h);
    const float value = HalfToFloat(half);
    if ((h & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(value));
    } else {
      EXPECT_EQ(FloatToHalf(value), half) << value;
    }
  }
  EXPECT_EQ(HalfToFloat(0x3c00), 1.0f);
  EXPECT_EQ(HalfToFloat(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(HalfToFloat(0xfbff), -65504.0f);
}

TEST(HalfTest, RoundsToNearestEven) {
  EXPECT_EQ(FloatToHalf(1.0f + 1.0f / 2048), 0x3c00);    // half way: to even
  EXPECT_EQ(FloatToHalf(1.0f + 3.0f / 2048), 0x3c02);    // half way: to even
  EXPECT_EQ(FloatToHalf(1.0f + 1.001f / 2048), 0x3c01);  // above half way
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);               // rounds to infinity
  EXPECT_EQ(FloatToHalf(std::ldexp(1.0f, -25)), 0x0000);  // half of the smallest: to even
  EXPECT_EQ(FloatToHalf(std::ldexp(1.001f, -25)), 0x0001);
  EXPECT_EQ(FloatToHalf(std::ldexp(1.5f, -24)), 0x0002);  // denormal, half way: to even
}

}  // namespace
}  // namespace lockstep
