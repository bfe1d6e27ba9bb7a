#include "core/engine/penalties.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

std::vector<float> Penalized(std::vector<float> logits, const SamplingParams& params,
                             const std::vector<int32_t>& prompt,
                             const std::vector<int32_t>& output = {}) {
  Penalties penalties(logits.size());
  penalties.Reset(params, prompt, prompt.size() + output.size());
  for (const int32_t token : output) penalties.Count(token);
  penalties.Apply(params, output, logits);
  return logits;
}

TEST(PenaltiesTest, RepetitionDividesPositiveAndMultipliesNegativeLogits) {
  SamplingParams params;
  params.repetition_penalty = 2;
  EXPECT_THAT(Penalized({3, -1, 2}, params, {}), ElementsAre(3, -1, 2));
  EXPECT_THAT(Penalized({3, -1, 2}, params, {0, 1, 0}), ElementsAre(1.5f, -2, 2));  // once a token
  EXPECT_THAT(Penalized({3, -1, 2}, params, {0}, {2, 2}), ElementsAre(1.5f, -1, 1));
}

TEST(PenaltiesTest, PresenceAndFrequencyCountTheOutputOnly) {
  SamplingParams params;
  params.presence_penalty = 1;
  EXPECT_THAT(Penalized({3, 2.5f, 0}, params, {0, 0}), ElementsAre(3, 2.5f, 0));
  EXPECT_THAT(Penalized({3, 2.5f, 0}, params, {}, {0, 1, 0}), ElementsAre(2, 1.5f, 0));
  params.presence_penalty = -0.5f;  // repetition is encouraged
  params.frequency_penalty = 1;
  EXPECT_THAT(Penalized({3, 2.5f, 0}, params, {0}, {0, 1, 0}), ElementsAre(1.5f, 2, 0));
}

TEST(PenaltiesTest, TheyCountWithinTheirWindow) {
  const std::vector<float> logits = {1, 0.9f, 0.5f};
  SamplingParams params;
  params.repetition_penalty = 2;
  params.repeat_last_n = 2;
  EXPECT_THAT(Penalized(logits, params, {0, 2, 2}), ElementsAre(1, 0.9f, 0.25f));
  EXPECT_THAT(Penalized(logits, params, {2, 0, 1}), ElementsAre(0.5f, 0.45f, 0.5f));
  EXPECT_THAT(Penalized(logits, params, {0, 2}, {2}), ElementsAre(1, 0.9f, 0.25f));
  EXPECT_THAT(Penalized(logits, params, {2}, {0}), ElementsAre(0.5f, 0.9f, 0.25f));
  params.repeat_last_n = 0;
  EXPECT_THAT(Penalized(logits, params, {0, 0, 0}), ElementsAre(1, 0.9f, 0.5f));
  // Twice within the window is twice the penalty, in the prompt as well.
  params.repetition_penalty = 1;
  params.frequency_penalty = 0.25f;
  params.repeat_last_n = 3;
  EXPECT_THAT(Penalized(logits, params, {0, 0, 2, 0}), ElementsAre(0.5f, 0.9f, 0.25f));
}

TEST(PenaltiesTest, ANewSequenceForgetsTheOneBefore) {
  SamplingParams params;
  params.repetition_penalty = 2;
  params.frequency_penalty = 1;
  Penalties penalties(3);
  const std::vector<int32_t> prompt = {2};
  penalties.Reset(params, prompt, 3);
  penalties.Count(0);
  penalties.Count(0);
  penalties.Reset(params, {}, 3);
  penalties.Count(1);
  std::vector<float> logits = {1, 4, 1};
  penalties.Apply(params, {}, logits);
  EXPECT_THAT(logits, ElementsAre(1, 1, 1));
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

TEST(PenaltiesTest, DryMakesLongRepetitionsUnlikely) {
  const std::vector<float> logits = {0, 0, 0, 1, 0};
  SamplingParams params;
  params.dry.multiplier = 0.8f;
  const auto third = [&](const std::vector<int32_t>& prompt,
                         const std::vector<int32_t>& output = {}) {
    return Penalized(logits, params, prompt, output)[3];
  };
  EXPECT_THAT(third({1, 2, 3, 4, 2}), FloatEq(1));               // a run of one token
  EXPECT_THAT(third({4, 1, 2, 3, 1, 2}), FloatEq(0.2f));         // of two
  EXPECT_THAT(third({4, 1, 2, 3, 4, 1, 2}), FloatEq(1 - 1.4f));  // of three
  EXPECT_THAT(third({4, 1, 2, 3}, {4, 1, 2}), FloatEq(1 - 1.4f));
  params.dry.last_n = 5;
  EXPECT_THAT(third({4, 1, 2, 3, 4, 1, 2}), FloatEq(1));
  params.dry.last_n = -1;
  auto breakers = std::make_shared<std::vector<bool>>(5);
  (*breakers)[1] = true;
  params.dry.breakers = breakers;
  EXPECT_THAT(third({4, 1, 2, 3, 4, 1, 2}), FloatEq(1));
}

TEST(PenaltiesTest, DryIsItsDefinitionOnRandomTexts) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    constexpr size_t kVocab = 4;
    std::vector<int32_t> text(2 + random() % 40);
    for (int32_t& token : text) token = static_cast<int32_t>(random() % kVocab);
    SamplingParams params;
    params.dry.multiplier = 0.5f;
    params.dry.base = 1.3f;
    params.dry.allowed_length = static_cast<int32_t>(random() % 4);
    if (round % 3 == 0) {
      auto breakers = std::make_shared<std::vector<bool>>(kVocab);
      (*breakers)[3] = true;
      params.dry.breakers = breakers;
    }
    const std::vector<float> logits = Penalized(std::vector<float>(kVocab), params, text);
    for (int32_t token = 0; token < static_cast<int32_t>(kVocab); ++token) {
      const float penalty = DryPenalty(text, token, params.dry);
      EXPECT_NEAR(-logits[token], penalty, 1e-4f * (1 + penalty));
    }
  }
}

TEST(PenaltiesTest, WhatTheyAllocateIsToldBeforehand) {
  SamplingParams params;
  EXPECT_EQ(Penalties::ExtraBytes(params, 100, 10), 0u);
  params.repeat_last_n = 64;  // and nothing is penalized
  EXPECT_EQ(Penalties::ExtraBytes(params, 100, 10), 0u);
  params.presence_penalty = 0.5f;
  EXPECT_EQ(Penalties::ExtraBytes(params, 100, 10), 400u);
  params.dry.multiplier = 1;
  EXPECT_EQ(Penalties::ExtraBytes(params, 100, 10), 440u);
}

}  // namespace
}  // namespace lockstep
