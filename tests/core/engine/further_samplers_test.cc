// Samplers beside those of sampler_test: each against its definition, worked out here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "core/engine/sampler.h"
#include "tests/support/sampler_cases.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

std::vector<int32_t> Sequence(const std::vector<float>& logits, const SamplingParams& params,
                              int n = 2000) {
  Sampler sampler(logits.size());
  sampler.Reset(params, {});
  std::vector<int32_t> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back(sampler.Sample(logits, i).value().token);
  return tokens;
}

std::set<int32_t> Drawn(const std::vector<float>& logits, const SamplingParams& params) {
  const std::vector<int32_t> tokens = Sequence(logits, params);
  return {tokens.begin(), tokens.end()};
}

TEST(FurtherSamplers, TopNSigmaKeepsWhatIsNearTheLargest) {
  // The mean is 1 and the deviation sqrt((4 + 1 + 0 + 9 + 0) / 5) = 1.673.
  const std::vector<float> logits = {-1, 0, 1, 4, 1};
  SamplingParams params = Plain();
  params.top_n_sigma = 1;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(3));
  params.top_n_sigma = 1.8f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(2, 3, 4));
  params.top_n_sigma = 0;
  EXPECT_EQ(Drawn(logits, params).size(), 5u);
}

TEST(FurtherSamplers, TypicalKeepsWhatSurprisesAsMuchAsTheEntropy) {
  // The entropy is 1.168 nats, and the surprises are 0.693, 1.609, 1.609, 2.303: distances of
  // 0.475, 0.441, 0.441 and 1.134.
  const std::vector<float> logits = Logs({0.5, 0.2, 0.2, 0.1});
  SamplingParams params = Plain();
  const std::pair<float, std::set<int32_t>> kKept[] = {
      {0.1f, {1}}, {0.35f, {1, 2}}, {0.6f, {0, 1, 2}}};
  for (const auto& [typical_p, kept] : kKept) {
    params.typical_p = typical_p;
    EXPECT_EQ(Drawn(logits, params), kept) << typical_p;
  }
  params.min_p = 0.5f;  // of the likeliest that is left
  EXPECT_THAT(Drawn(logits, params), ElementsAre(0));
  params.typical_p = 0.1f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1));
}

TEST(FurtherSamplers, XtcLeavesTheLeastOfTheLikely) {
  const std::vector<float> logits = Logs({0.4, 0.3, 0.15, 0.1, 0.05});
  SamplingParams params = Plain();
  params.xtc_probability = 1;
  params.xtc_threshold = 0.12f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(2, 3, 4));
  params.xtc_threshold = 0.45f;
  EXPECT_EQ(Drawn(logits, params).size(), 5u);
  params.xtc_threshold = 0.51f;
  EXPECT_EQ(Drawn(logits, params).size(), 5u);
  params.xtc_threshold = 0.12f;
  params.xtc_probability = 0.5f;
  EXPECT_EQ(Drawn(logits, params).size(), 5u);
  // Whether to exclude is a draw of its own, so that the same seed gives the same tokens.
  EXPECT_EQ(Sequence(logits, params), Sequence(logits, params));
  const std::vector<int32_t> tokens = Sequence(logits, params, 4000);
  const auto best = static_cast<double>(std::ranges::count(tokens, 0)) / 4000;
  EXPECT_NEAR(best, 0.2, 0.03);
}

TEST(FurtherSamplers, TheTemperatureFollowsTheEntropy) {
  const std::vector<double> p = {0.7, 0.1, 0.1, 0.1};
  double entropy = 0;
  for (const double x : p) entropy -= x * std::log(x);
  SamplingParams params = Plain(), plain = Plain();
  params.temperature = 1;
  params.dynatemp_range = 0.5f;
  params.dynatemp_exponent = 2;
  plain.temperature = static_cast<float>(0.5 + std::pow(entropy / std::log(4.0), 2) * (1.5 - 0.5));
  EXPECT_EQ(Sequence(Logs(p), params), Sequence(Logs(p), plain));
  params.dynatemp_range = 3;  // not below 0
  EXPECT_EQ(Sequence({100, 0, 0}, params), std::vector<int32_t>(2000, 0));
}

}  // namespace
}  // namespace lockstep
