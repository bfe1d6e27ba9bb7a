#include "core/transformer/expert_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace lockstep {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<ChosenExpert> Choose(const std::vector<float>& scores, size_t used,
                                 bool normalize = true, float scale = 1) {
  ModelConfig config;
  config.experts = scores.size();
  config.experts_used = used;
  config.normalize_experts = normalize;
  config.expert_scale = scale;
  std::vector<ChosenExpert> chosen(used);
  ChooseExperts(config, scores, chosen);
  return chosen;
}

TEST(ExpertChoiceTest, TheLargestAreChosenAndTheFirstOfEqualOnes) {
  const auto chosen = Choose({0.5f, 2, -1, 2, 3, 0.5f}, 4);
  const size_t expected[] = {4, 1, 3, 0};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(chosen[i].expert, expected[i]) << i;
  EXPECT_EQ(chosen[1].weight, chosen[2].weight);
  EXPECT_NEAR(chosen[0].weight / chosen[1].weight, std::exp(1.0), 1e-6);
}

TEST(ExpertChoiceTest, WeightsAreSharesOfTheChosenOrOfAll) {
  for (const bool normalize : {true, false}) {
    const auto chosen = Choose({1, 0, 2}, 2, normalize, 2.5f);
    const double all = std::exp(2.0) + std::exp(1.0) + (normalize ? 0.0 : 1.0);
    EXPECT_NEAR(chosen[0].weight, 2.5 * std::exp(2.0) / all, 1e-6);
    EXPECT_NEAR(chosen[1].weight, 2.5 * std::exp(1.0) / all, 1e-6);
  }
}

TEST(ExpertChoiceTest, OverflownScoresChooseSomething) {
  const auto chosen = Choose({kNan, -kInfinity, kInfinity, kInfinity, kNan}, 5);
  const size_t expected[] = {2, 3, 1, 0, 4};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(chosen[i].expert, expected[i]) << i;
    EXPECT_TRUE(std::isfinite(chosen[i].weight)) << i;
  }
  EXPECT_EQ(chosen[2].weight, 0.0f);
}

}  // namespace
}  // namespace lockstep
