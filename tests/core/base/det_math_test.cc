#include "core/base/det_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

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

// Several at a time, one by one, and the values that the formula does not reach.
TEST(DetMathTest, ManyExpsHaveTheBitsOfEach) {
  Random random(7);
  std::vector<double> x = {0.0,    -0.0,         1e-300,
                           -708.0, -708.0000001, 708.5,
                           709.0,  -1e300,       -std::numeric_limits<double>::infinity()};
  for (int i = 0; i < 1001; ++i) x.push_back(random.Float(-760, 709) / (i % 2 == 0 ? 1 : 700));
  for (const size_t n : {size_t{0}, size_t{1}, size_t{3}, x.size()}) {
    std::vector<double> y(x.begin(), x.begin() + static_cast<ptrdiff_t>(n));
    DetExp(y);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(y[i], DetExp(x[i])) << x[i];
  }
  EXPECT_EQ(DetExp(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(DetExp(1e300), DetExp(709.0));
  EXPECT_EQ(DetExp(-708.0000001), 0.0);
  EXPECT_GT(DetExp(-708.0), 0.0);
  EXPECT_TRUE(std::isnan(DetExp(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(DetExp(-std::numeric_limits<double>::quiet_NaN())));
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
