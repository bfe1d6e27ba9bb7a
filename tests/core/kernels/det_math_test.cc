#include "core/kernels/det_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/random.h"

namespace lockstep {
namespace {

TEST(DetMathTest, ExpIsCloseToTheLibrary) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const double x = random.Float(-700, 700);
    EXPECT_NEAR(DetExp(x) / std::exp(x), 1.0, 4e-15) << x;
  }
  EXPECT_EQ(DetExp(0.0), 1.0);
  EXPECT_EQ(DetExp(-1e9), 0.0);
  EXPECT_EQ(DetExp(1e9), DetExp(709.0));
}

// The values that the formula does not reach.
TEST(DetMathTest, ExpHasEnds) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(DetExp(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(DetExp(1e300), DetExp(709.0));
  EXPECT_EQ(DetExp(-708.0000001), 0.0);
  EXPECT_GT(DetExp(-708.0), 0.0);
  EXPECT_TRUE(std::isnan(DetExp(nan)));
  EXPECT_TRUE(std::isnan(DetExp(-nan)));
}

TEST(DetMathTest, SigmoidIsCloseToTheLibrary) {
  Random random(4);
  for (int i = 0; i < 20000; ++i) {
    const double x = random.Float(-30, 30);
    EXPECT_NEAR(DetSigmoid(x) * (1 + std::exp(-x)), 1.0, 1e-14) << x;
  }
  EXPECT_EQ(DetSigmoid(0), 0.5);
  EXPECT_EQ(DetSigmoid(1000), 1);
  EXPECT_LT(DetSigmoid(-1000), 1e-300);
  EXPECT_TRUE(std::isnan(DetSigmoid(std::numeric_limits<double>::quiet_NaN())));
}

TEST(DetMathTest, LogIsCloseToTheLibrary) {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const double x = std::exp(random.Float(-600, 600));
    EXPECT_NEAR(DetLog(x), std::log(x), 4e-15 * std::max(1.0, std::fabs(std::log(x)))) << x;
  }
  EXPECT_EQ(DetLog(1.0), 0.0);
}

TEST(DetMathTest, SinAndCosAreCloseToTheLibrary) {
  Random random(3);
  for (int i = 0; i < 20000; ++i) {
    const double x = static_cast<double>(random.Float(-1, 1)) * (i % 2 != 0 ? 10.0 : 1048576.0);
    double sin, cos;
    DetSinCos(x, &sin, &cos);
    EXPECT_NEAR(sin, std::sin(x), 4e-15) << x;
    EXPECT_NEAR(cos, std::cos(x), 4e-15) << x;
  }
}

}  // namespace
}  // namespace lockstep
