#include "core/transformer/expert_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace lockstep {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<ChosenExpert> Choose(MixtureConfig config, const std::vector<float>& scores,
                                 const std::vector<float>& bias = {}) {
  config.experts = scores.size();
  std::vector<ChosenExpert> chosen(config.used);
  std::vector<double> work(2 * scores.size());
  ChooseExperts(config, scores, bias, work, chosen);
  return chosen;
}

void ExpectChosen(const std::vector<ChosenExpert>& chosen,
                  const std::vector<std::pair<size_t, double>>& expected) {
  ASSERT_EQ(chosen.size(), expected.size());
  for (size_t i = 0; i < chosen.size(); ++i) {
    EXPECT_EQ(chosen[i].expert, expected[i].first) << i;
    EXPECT_NEAR(chosen[i].weight, expected[i].second, 1e-6) << i;
  }
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(ExpertChoiceTest, TheLargestAreChosenAndTheFirstOfEqualOnes) {
  const auto chosen = Choose({.used = 4}, {0.5f, 2, -1, 2, 3, 0.5f});
  const size_t expected[] = {4, 1, 3, 0};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(chosen[i].expert, expected[i]) << i;
  EXPECT_EQ(chosen[1].weight, chosen[2].weight);
  EXPECT_NEAR(chosen[0].weight / chosen[1].weight, std::exp(1.0), 1e-6);
}

TEST(ExpertChoiceTest, WeightsAreSharesOfTheChosenOrOfAll) {
  for (const bool normalize : {true, false}) {
    const auto chosen = Choose({.used = 2, .normalize = normalize, .scale = 2.5f}, {1, 0, 2});
    const double all = std::exp(2.0) + std::exp(1.0) + (normalize ? 0.0 : 1.0);
    EXPECT_NEAR(chosen[0].weight, 2.5 * std::exp(2.0) / all, 1e-6);
    EXPECT_NEAR(chosen[1].weight, 2.5 * std::exp(1.0) / all, 1e-6);
  }
}

TEST(ExpertChoiceTest, OverflownScoresChooseSomething) {
  const auto chosen = Choose({.used = 5}, {kNan, -kInfinity, kInfinity, kInfinity, kNan});
  const size_t expected[] = {2, 3, 1, 0, 4};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(chosen[i].expert, expected[i]) << i;
    EXPECT_TRUE(std::isfinite(chosen[i].weight)) << i;
  }
  EXPECT_EQ(chosen[2].weight, 0.0f);
}

TEST(ExpertChoiceTest, ScoresBecomeGatesInFourWays) {
  const std::vector<float> scores = {1, -2, 0.5f, 3};
  const auto choose = [&](Gating gating) {
    return Choose({.used = 2, .gating = gating, .normalize = false}, scores);
  };
  const double all = std::exp(1) + std::exp(-2) + std::exp(0.5) + std::exp(3);
  ExpectChosen(choose(Gating::kSoftmax), {{3, std::exp(3) / all}, {0, std::exp(1) / all}});
  ExpectChosen(choose(Gating::kSigmoid), {{3, Sigmoid(3)}, {0, Sigmoid(1)}});
  const double two = std::exp(3) + std::exp(1);
  ExpectChosen(choose(Gating::kSoftmaxOfChosen), {{3, std::exp(3) / two}, {0, std::exp(1) / two}});
  ExpectChosen(choose(Gating::kRootSoftplus),
               {{3, std::sqrt(std::log1p(std::exp(3)))}, {0, std::sqrt(std::log1p(std::exp(1)))}});
  // A large score's softplus is the score.
  ExpectChosen(Choose({.used = 1, .gating = Gating::kRootSoftplus, .normalize = false}, {900, 0}),
               {{0, 30}});
}

TEST(ExpertChoiceTest, TheBiasDecidesOnTheChoiceAndNotOnTheWeight) {
  const MixtureConfig config = {.used = 2, .gating = Gating::kSigmoid, .normalize = true};
  const double sum = Sigmoid(0) + Sigmoid(2);
  ExpectChosen(Choose(config, {0, 1, 2}, {0.9f, 0, 0}),
               {{0, Sigmoid(0) / sum}, {2, Sigmoid(2) / sum}});
  // Of a softmax, too: the weights of the chosen are shares of all, brought to a sum of 1.
  const double shares = std::exp(0) + std::exp(2);
  ExpectChosen(Choose({.used = 2}, {0, 1, 2}, {0.9f, 0, 0}),
               {{0, std::exp(0) / shares}, {2, std::exp(2) / shares}});
}

TEST(ExpertChoiceTest, SumsThatVanishAreNotBroughtToOne) {
  const auto chosen = Choose({.used = 1, .gating = Gating::kSigmoid}, {-20, -21});
  EXPECT_NEAR(chosen[0].weight, Sigmoid(-20) * 16384, 1e-9);
  // The first of two is chosen by its bias, with a share of all that is next to nothing.
  const auto biased = Choose({.used = 1}, {-20, 0}, {2, 0});
  EXPECT_EQ(biased[0].expert, 0u);
  EXPECT_NEAR(biased[0].weight, std::exp(-20) / (1 + std::exp(-20)) * 16384, 1e-9);
}

TEST(ExpertChoiceTest, OnlyTheBestGroupsAreChosenFrom) {
  // By the sum of their two best: 3.5, 4, 3 and 4.
  const std::vector<float> scores = {3.25f, 0.25f, 2, 2, 1, 2, 3.75f, 0.25f};
  MixtureConfig config = {.used = 3, .gating = Gating::kSoftmaxOfChosen, .groups = 4};
  config.groups_used = 2, config.normalize = false;
  const double sum = std::exp(3.75) + 2 * std::exp(2);
  ExpectChosen(Choose(config, scores),
               {{6, std::exp(3.75) / sum}, {2, std::exp(2) / sum}, {3, std::exp(2) / sum}});
  config.used = 1, config.groups_used = 1;  // of equal groups the first
  ExpectChosen(Choose(config, scores), {{2, 1}});
  config.groups_used = 4;
  ExpectChosen(Choose(config, scores), {{6, 1}});
}

}  // namespace
}  // namespace lockstep
