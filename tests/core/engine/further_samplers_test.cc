// Samplers beside those of sampler_test: each against its definition, worked out here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "core/engine/sampler.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

SamplingParams Plain() {
  SamplingParams params;
  params.temperature = 1;
  params.top_k = 0;
  params.top_p = 1;
  params.min_p = 0;
  params.seed = 1;
  return params;
}

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

std::vector<float> Logs(const std::vector<double>& p) {
  std::vector<float> logits;
  for (const double x : p) logits.push_back(static_cast<float>(std::log(x)));
  return logits;
}

int32_t Greedy(const std::vector<float>& logits, SamplingParams params,
               const std::vector<int32_t>& prompt, const std::vector<int32_t>& output = {}) {
  params.temperature = 0;
  Sampler sampler(logits.size());
  sampler.Reset(params, prompt, prompt.size() + output.size() + 1);
  return sampler.Sample(logits, 0, {}, output).value().token;
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
  params.typical_p = 0.1f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1));
  params.typical_p = 0.35f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1, 2));
  params.typical_p = 0.6f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(0, 1, 2));
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

TEST(FurtherSamplers, PenaltiesCountWithinTheirWindow) {
  const std::vector<float> logits = {1, 0.9f, 0};
  SamplingParams params = Plain();
  params.repetition_penalty = 2;
  EXPECT_EQ(Greedy(logits, params, {0, 2, 2}), 1);
  params.repeat_last_n = 2;
  EXPECT_EQ(Greedy(logits, params, {0, 2, 2}), 0);
  EXPECT_EQ(Greedy(logits, params, {2, 0, 2}), 1);
  EXPECT_EQ(Greedy(logits, params, {0, 2}, {2}), 0);
  EXPECT_EQ(Greedy(logits, params, {2}, {0}), 1);
  params.repeat_last_n = 0;
  EXPECT_EQ(Greedy(logits, params, {0, 0, 0}), 0);
  // Twice within the window is twice the penalty, in the prompt as well.
  params.repetition_penalty = 1;
  params.frequency_penalty = 0.06f;
  params.repeat_last_n = 3;
  EXPECT_EQ(Greedy(logits, params, {0, 2, 2}), 0);
  EXPECT_EQ(Greedy(logits, params, {0, 0, 2}), 1);
}

// The lengths of the runs by their definition, for every place.
float DryPenalty(const std::vector<int32_t>& text, int32_t token, const DryParams& dry) {
  const size_t n = text.size();
  size_t most = 0, longest = 0;
  while (most < n && !(dry.breakers && (*dry.breakers)[text[n - 1 - most]])) ++most;
  for (size_t end = 1; end < n; ++end) {  // text[end] is what followed a place
    if (text[end] != token) continue;
    size_t length = 0;
    while (length < end && length < most && text[end - 1 - length] == text[n - 1 - length]) {
      ++length;
    }
    longest = std::max(longest, length);
  }
  const auto allowed = static_cast<size_t>(dry.allowed_length);
  if (longest < std::max<size_t>(allowed, 1)) return 0;
  return dry.multiplier * std::pow(dry.base, static_cast<float>(longest - allowed));
}

TEST(FurtherSamplers, DryMakesLongRepetitionsUnlikely) {
  const std::vector<float> logits = {0, 0, 0, 1, 0};
  SamplingParams params = Plain();
  params.dry.multiplier = 0.8f;
  EXPECT_EQ(Greedy(logits, params, {1, 2, 3, 4, 2}), 3);        // a run of one token
  EXPECT_EQ(Greedy(logits, params, {4, 1, 2, 3, 1, 2}), 3);     // of two: less than what 3 is ahead
  EXPECT_EQ(Greedy(logits, params, {4, 1, 2, 3, 4, 1, 2}), 0);  // of three
  EXPECT_EQ(Greedy(logits, params, {4, 1, 2, 3}, {4, 1, 2}), 0);
  params.dry.last_n = 5;
  EXPECT_EQ(Greedy(logits, params, {4, 1, 2, 3, 4, 1, 2}), 3);
  params.dry.last_n = -1;
  auto breakers = std::make_shared<std::vector<bool>>(5);
  (*breakers)[1] = true;
  params.dry.breakers = breakers;
  EXPECT_EQ(Greedy(logits, params, {4, 1, 2, 3, 4, 1, 2}), 3);
}

TEST(FurtherSamplers, DryIsItsDefinitionOnRandomTexts) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    constexpr size_t kVocab = 4;
    std::vector<int32_t> text(2 + random() % 40);
    for (int32_t& token : text) token = static_cast<int32_t>(random() % kVocab);
    SamplingParams params = Plain();
    params.dry.multiplier = 0.5f;
    params.dry.base = 1.3f;
    params.dry.allowed_length = static_cast<int32_t>(random() % 4);
    if (round % 3 == 0) {
      auto breakers = std::make_shared<std::vector<bool>>(kVocab);
      (*breakers)[3] = true;
      params.dry.breakers = breakers;
    }
    // The token wins exactly while its lead is above the penalty.
    for (int32_t token = 0; token < static_cast<int32_t>(kVocab); ++token) {
      const float penalty = DryPenalty(text, token, params.dry);
      std::vector<float> logits(kVocab, -1e6f);
      logits[token] = penalty + 0.01f * (1 + penalty);
      const int32_t other = (token + 1) % static_cast<int32_t>(kVocab);
      logits[other] = 0;
      const float others = DryPenalty(text, other, params.dry);
      logits[other] += others;
      EXPECT_EQ(Greedy(logits, params, text), token);
      logits[token] -= 0.02f * (1 + penalty);
      EXPECT_EQ(Greedy(logits, params, text), other);
    }
  }
}

TEST(FurtherSamplers, WhatTheyAllocateIsToldBeforehand) {
  SamplingParams params = Plain();
  EXPECT_EQ(Sampler::ExtraBytes(params, 100, 10), 0u);
  params.repeat_last_n = 64;  // and nothing is penalized
  EXPECT_EQ(Sampler::ExtraBytes(params, 100, 10), 0u);
  params.presence_penalty = 0.5f;
  EXPECT_EQ(Sampler::ExtraBytes(params, 100, 10), 400u);
  params.dry.multiplier = 1;
  EXPECT_EQ(Sampler::ExtraBytes(params, 100, 10), 440u);
}

}  // namespace
}  // namespace lockstep
