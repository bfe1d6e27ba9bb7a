#include "core/engine/log_softmax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace lockstep {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<int32_t> TopTokens(const LogSoftmax& softmax, size_t n) {
  std::vector<TokenLogprob> top(n);
  top.resize(softmax.Top(top));
  std::vector<int32_t> tokens;
  for (const TokenLogprob& t : top) {
    tokens.push_back(t.token);
    EXPECT_EQ(t.logprob, softmax[t.token]);
  }
  return tokens;
}

TEST(LogSoftmaxTest, ProbabilitiesAreThoseOfTheDefinition) {
  std::vector<float> logits;
  for (const double p : {0.1, 0.4, 0.3, 0.2}) logits.push_back(static_cast<float>(5 + std::log(p)));
  const LogSoftmax softmax(logits);
  EXPECT_NEAR(std::exp(softmax[0]), 0.1, 1e-6);
  EXPECT_NEAR(std::exp(softmax[1]), 0.4, 1e-6);
  EXPECT_NEAR(softmax.Of(logits[2]), std::log(0.3), 1e-6);
  EXPECT_TRUE(softmax.finite());
}

TEST(LogSoftmaxTest, LargeLogitsDoNotOverflow) {
  const std::vector<float> logits = {3e38f, -3e38f, 3e38f};
  const LogSoftmax softmax(logits);
  EXPECT_FLOAT_EQ(softmax[0], std::log(0.5f));
  EXPECT_EQ(softmax[1], -std::numeric_limits<float>::max());
}

TEST(LogSoftmaxTest, RanksAndTheLikeliestAreInOneOrder) {
  const std::vector<float> logits = {1, 3, 2, 3, -kInf, 2};
  const LogSoftmax softmax(logits);
  EXPECT_EQ(TopTokens(softmax, 0), (std::vector<int32_t>{}));
  EXPECT_EQ(TopTokens(softmax, 1), (std::vector<int32_t>{1}));
  EXPECT_EQ(TopTokens(softmax, 4), (std::vector<int32_t>{1, 3, 2, 5}));
  EXPECT_EQ(TopTokens(softmax, 9), (std::vector<int32_t>{1, 3, 2, 5, 0}));
  const std::vector<size_t> ranks = {5, 1, 3, 2, 6, 4};
  for (int32_t token = 0; token < 6; ++token) EXPECT_EQ(softmax.Rank(token), ranks[token]);
}

TEST(LogSoftmaxTest, WhatIsNoNumberIsNeverChosen) {
  const std::vector<float> logits = {kNan, 1, kInf, 1};
  const LogSoftmax softmax(logits);
  EXPECT_TRUE(softmax.finite());
  EXPECT_EQ(softmax[0], -std::numeric_limits<float>::max());
  EXPECT_EQ(TopTokens(softmax, 4), (std::vector<int32_t>{2, 1, 3}));
  EXPECT_EQ(softmax[2], 0);
  const std::vector<float> none = {kNan, -kInf};
  EXPECT_FALSE(LogSoftmax(none).finite());
}

}  // namespace
}  // namespace lockstep
