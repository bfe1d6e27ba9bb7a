#include "core/transformer/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace lockstep {
namespace {

double Plain(double base, size_t pair, size_t dim) {
  return std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(dim));
}

TEST(RopeTest, FrequenciesFallFromOneToAlmostTheInverseOfTheBase) {
  const RopeTable table = MakeRopeTable({}, 128, {});
  ASSERT_EQ(table.frequency.size(), 64u);
  EXPECT_EQ(table.magnitude, 1.0);
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(table.frequency[i] / Plain(1e4, i, 128), 1, 1e-14);
}

TEST(RopeTest, LinearScalingAndFactorsDivide) {
  RopeConfig config;
  config.scaling = RopeScaling::kLinear;
  config.factor = 4;
  const std::vector<float> factors = {1, 2, 8, 0.5f};
  const RopeTable table = MakeRopeTable(config, 8, factors);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(table.frequency[i] * 4 * factors[i] / Plain(1e4, i, 8), 1, 1e-14);
  }
}

// Qwen2.5 with its published factor: pairs that turn more than 32 times within 32768 positions are
// left as they are, those that turn less than once are slowed by 4, and there are some between.
TEST(RopeTest, YarnSlowsTheSlowPairs) {
  RopeConfig config;
  config.base = 1e6;
  config.scaling = RopeScaling::kYarn;
  config.factor = 4;
  config.original_context = 32768;
  config.magnitude = 0.5;
  const RopeTable table = MakeRopeTable(config, 128, {});
  EXPECT_NEAR(table.magnitude, 0.5 * (1 + 0.1 * std::log(4.0)), 1e-12);
  size_t between = 0;
  for (size_t i = 0; i < 64; ++i) {
    const double plain = Plain(1e6, i, 128);
    const double turns = 32768 * plain / (2 * M_PI);
    const double slowed = plain / table.frequency[i];
    if (turns > 40) {
      EXPECT_NEAR(slowed, 1, 1e-12) << i;
    }
    if (turns < 0.8) {
      EXPECT_NEAR(slowed, 4, 1e-12) << i;
    }
    EXPECT_TRUE(slowed > 1 - 1e-12 && slowed < 4 + 1e-12) << i;
    if (slowed > 1.01 && slowed < 3.99) ++between;
  }
  EXPECT_GT(between, 10u);
}

}  // namespace
}  // namespace lockstep
