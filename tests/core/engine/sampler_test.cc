#include "core/engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "core/engine/philox.h"
#include "tests/support/sampler_cases.h"

namespace lockstep {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

SamplingParams Greedy() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

int32_t SampleOne(const std::vector<float>& logits, const SamplingParams& params,
                  uint64_t position = 0, const std::vector<int32_t>& prompt = {}) {
  Sampler sampler(logits.size());
  sampler.Reset(params, prompt);
  const auto out = sampler.Sample(logits, position);
  EXPECT_TRUE(out) << out.error().message;
  return out ? out->token : -1;
}

// How often each token is drawn at positions 0 .. n - 1.
std::map<int32_t, int> Draw(const std::vector<float>& logits, const SamplingParams& params, int n) {
  Sampler sampler(logits.size());
  sampler.Reset(params, {});
  std::map<int32_t, int> count;
  for (int i = 0; i < n; ++i) {
    const auto out = sampler.Sample(logits, i);
    EXPECT_TRUE(out);
    if (out) ++count[out->token];
  }
  return count;
}

std::vector<int32_t> Drawn(const std::vector<float>& logits, const SamplingParams& params) {
  std::vector<int32_t> tokens;
  for (const auto& [token, count] : Draw(logits, params, 4000)) tokens.push_back(token);
  return tokens;
}

std::vector<float> RandomLogits(size_t n, uint32_t seed, float spread = 3) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(n);
  for (float& x : logits) x = normal(random);
  return logits;
}

using testing::Each;
using testing::ElementsAre;

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdAmongEquals) {
  EXPECT_EQ(SampleOne({1, 3, 2, 3, 3}, Greedy()), 1);
  EXPECT_EQ(SampleOne({-0.0f, 0.0f, -1}, Greedy()), 0);
  SamplingParams top1 = Plain();
  top1.top_k = 1;
  EXPECT_EQ(SampleOne({1, 3, 2, 3, 3}, top1), 1);  // the same rule where sampling sorts
}

TEST(Sampler, FrequenciesFollowTheSoftmax) {
  const std::vector<double> p = {0.4, 0.3, 0.15, 0.1, 0.05};
  constexpr int kDraws = 20000;
  for (const uint64_t seed : {1, 2, 3}) {
    auto count = Draw(Logs(p), Plain(seed), kDraws);
    double chi2 = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      const double expected = p[i] * kDraws;
      chi2 += (count[i] - expected) * (count[i] - expected) / expected;
    }
    EXPECT_LT(chi2, 18.5) << seed;  // 4 degrees of freedom, 0.1%
  }
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  const std::vector<float> logits = Logs({0.6, 0.4});
  SamplingParams params = Plain();
  params.temperature = 0.5f;  // p squared: 0.36 / 0.52
  EXPECT_NEAR(Draw(logits, params, 20000)[0] / 20000.0, 0.36 / 0.52, 0.015);
  params.temperature = 2;  // square roots
  const double expected = std::sqrt(0.6) / (std::sqrt(0.6) + std::sqrt(0.4));
  EXPECT_NEAR(Draw(logits, params, 20000)[0] / 20000.0, expected, 0.015);
  params.temperature = 1e-6f;
  EXPECT_EQ(Draw(logits, params, 100)[0], 100);
}

TEST(Sampler, TopKKeepsTheKLikeliestAndTheirRatios) {
  SamplingParams params = Plain();
  params.top_k = 2;
  auto count = Draw(Logs({0.1, 0.3, 0.2, 0.4}), params, 20000);
  EXPECT_EQ(count[1] + count[3], 20000);
  EXPECT_NEAR(count[3] / 20000.0, 0.4 / 0.7, 0.015);
  EXPECT_THAT(Drawn({5, 5, 5, 5}, params), ElementsAre(0, 1));  // ties: the lowest ids
  params.top_k = 100;                                           // beyond the vocabulary: off
  EXPECT_EQ(Drawn({5, 5, 5, 5}, params).size(), 4u);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesTheMass) {
  const std::vector<float> logits = Logs({0.1, 0.5, 0.15, 0.25});
  SamplingParams params = Plain();
  params.top_p = 0.45f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1));
  params.top_p = 0.7f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1, 3));
  params.top_p = 0.85f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1, 2, 3));
  params.top_k = 2;  // the mass is that of what top-k leaves: 0.5 / 0.75 < 0.7
  params.top_p = 0.66f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1));
  params.top_p = 0.7f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1, 3));
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  const std::vector<float> logits = Logs({0.1, 0.5, 0.15, 0.25});
  SamplingParams params = Plain();
  params.min_p = 0.4f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1, 3));
  params.min_p = 0.25f;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1, 2, 3));
  params.min_p = 1;
  EXPECT_THAT(Drawn(logits, params), ElementsAre(1));
}

// Cuts against a full sort, where the nucleus needs several rounds of partial sorting.
void ExpectCutsOfAFullSort(const std::vector<float>& logits) {
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  double total = 0;
  for (const float x : logits) total += std::exp(double{x});
  for (const auto& [top_k, top_p] : std::vector<std::pair<int, float>>{
           {0, 0.1f}, {0, 0.5f}, {0, 0.9f}, {3, 1.0f}, {700, 1.0f}, {700, 0.5f}}) {
    SamplingParams params = Plain();
    params.top_k = top_k;
    params.top_p = top_p;
    double mass = 0, kept = 0;
    for (int i = 0; top_k > 0 && i < top_k; ++i) mass += std::exp(double{logits[order[i]]});
    if (top_k == 0) mass = total;
    size_t size = 0;
    while (size < (top_k ? top_k : order.size()) && kept < mass * double{top_p}) {
      kept += std::exp(double{logits[order[size++]]});
    }
    // Inversion: the draw at a position is where its uniform number falls in the kept order.
    for (uint64_t position = 0; position < 200; ++position) {
      double target = UniformAt(params.seed, position) * kept;
      size_t i = 0;
      while (i + 1 < size && (target -= std::exp(double{logits[order[i]]})) >= 0) ++i;
      EXPECT_EQ(SampleOne(logits, params, position), order[i]) << top_k << " " << top_p;
    }
  }
}

// Also where most of it is too unlikely to be looked at.
TEST(Sampler, CutsOfALargeVocabularyEqualAFullSort) {
  ExpectCutsOfAFullSort(RandomLogits(5000, 7, 1.0f));
  ExpectCutsOfAFullSort(RandomLogits(5000, 8, 20.0f));
}

// Where nothing is cut no candidate is written down. A min-p that cuts nothing has them all listed.
TEST(Sampler, WithoutACutTheDrawIsThatOfAllCandidates) {
  SamplingParams listed = Plain();
  listed.min_p = 1e-37f;
  for (const size_t vocab : {1, 2, 63, 64, 65, 128, 1000}) {
    std::vector<float> logits = RandomLogits(vocab, 3);
    // Runs of tokens that cannot come, over whole pieces and at both ends.
    for (size_t i = 0; i < vocab; ++i) {
      if (vocab > 2 && (i < 2 || i + 2 >= vocab || (i > 100 && i < 300))) logits[i] = -kInf;
    }
    for (uint64_t position = 0; position < 500; ++position) {
      EXPECT_EQ(SampleOne(logits, Plain(), position), SampleOne(logits, listed, position)) << vocab;
    }
  }
}

TEST(Sampler, BiasBansAndForces) {
  const std::vector<float> logits = RandomLogits(50, 3);
  SamplingParams params = Plain();
  for (int32_t i = 0; i < 49; ++i) params.logit_bias.emplace_back(i, -100.0f);
  EXPECT_THAT(Drawn(logits, params), ElementsAre(49));
  params.logit_bias = {{17, 100.0f}};
  EXPECT_THAT(Drawn(logits, params), ElementsAre(17));
  params.logit_bias = {{0, 1.0f}};  // added to the logit: the odds grow by e
  auto count = Draw({0, 0}, params, 20000);
  EXPECT_NEAR(count[0] / 20000.0, std::exp(1) / (1 + std::exp(1)), 0.015);
  params = Greedy();
  params.logit_bias = {{0, 1.0f}};
  params.repetition_penalty = 2;  // after the bias: (2 + 1) / 2
  EXPECT_EQ(SampleOne({2, 1.6f}, params, 0, {0}), 1);
  EXPECT_EQ(SampleOne({2, 1.4f}, params, 0, {0}), 0);
}

TEST(Sampler, LogprobsAreThoseOfTheUnmodifiedLogits) {
  const std::vector<float> logits = RandomLogits(300, 5);
  SamplingParams params = Greedy();
  params.logprobs = 300;
  params.logit_bias = {{4, 100.0f}};
  Sampler sampler(logits.size());
  sampler.Reset(params, std::vector<int32_t>{1, 2, 3});
  const auto out = sampler.Sample(logits, 0);
  ASSERT_TRUE(out);
  ASSERT_EQ(out->top.size(), 300u);
  double sum = 0, lse = 0;
  for (const float x : logits) lse += std::exp(double{x});
  lse = std::log(lse);
  for (size_t i = 0; i < out->top.size(); ++i) {
    const auto& [token, logprob] = out->top[i];
    EXPECT_NEAR(logprob, logits[token] - lse, 1e-5);
    EXPECT_LE(logprob, out->top[i > 0 ? i - 1 : 0].logprob);
    sum += std::exp(double{logprob});
  }
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_EQ(out->token, 4);
  EXPECT_NEAR(out->logprob, logits[4] - lse, 1e-5);
}

TEST(Sampler, LogprobsComeInTheNumberAskedFor) {
  const std::vector<float> logits = {1, 4, 2, 4};
  SamplingParams params = Greedy();
  Sampler sampler(logits.size());
  const auto top = [&](int32_t n) {
    params.logprobs = n;
    sampler.Reset(params, {});
    std::vector<int32_t> tokens;
    const auto out = sampler.Sample(logits, 0);
    for (const TokenLogprob& t : out->top) tokens.push_back(t.token);
    EXPECT_EQ(out->logprob != 0, n >= 0);
    return tokens;
  };
  EXPECT_THAT(top(-1), ElementsAre());
  EXPECT_THAT(top(0), ElementsAre());
  EXPECT_THAT(top(3), ElementsAre(1, 3, 2));
  EXPECT_THAT(top(20), ElementsAre(1, 3, 2, 0));
}

TEST(Sampler, NanIsNeverAndInfinityIsTheLargest) {
  for (SamplingParams params : {Greedy(), Plain(), SamplingParams{}}) {
    params.logprobs = 4;
    EXPECT_EQ(SampleOne({kNan, -kInf, 1, kNan}, params), 2);
    EXPECT_EQ(SampleOne({kNan, 5, kInf, -kInf}, params), 2);
    EXPECT_EQ(SampleOne({kInf, 1e38f, -3e38f}, params), 0);
    EXPECT_EQ(SampleOne({-3.4e38f, -kInf}, params), 0);
  }
  EXPECT_THAT(Drawn({kInf, 1, kInf}, Plain()), ElementsAre(0, 2));
  SamplingParams params = Greedy();
  params.logprobs = 4;
  Sampler sampler(4);
  sampler.Reset(params, {});
  const auto out = sampler.Sample(std::vector<float>{kNan, -kInf, 3.4e38f, -3.4e38f}, 0);
  ASSERT_TRUE(out);
  ASSERT_EQ(out->top.size(), 2u);  // what can never come is not listed
  EXPECT_EQ(out->top[0].logprob, 0);
  EXPECT_TRUE(std::isfinite(out->top[1].logprob));
}

TEST(Sampler, NoFiniteLogitIsAnError) {
  for (const SamplingParams& params : {Greedy(), Plain(), SamplingParams{}}) {
    for (const float x : {kNan, kInf, -kInf}) {
      Sampler sampler(8);
      sampler.Reset(params, {});
      const auto out = sampler.Sample(std::vector<float>(8, x), 0);
      ASSERT_FALSE(out);
      EXPECT_EQ(out.error().kind, ErrorKind::kInternal);
    }
  }
  SamplingParams params = Plain();
  params.logit_bias = {{0, -3e38f}, {0, -3e38f}};
  Sampler sampler(1);
  sampler.Reset(params, {});
  EXPECT_FALSE(sampler.Sample(std::vector<float>{1}, 0));
}

TEST(Sampler, SeedAndPositionDecide) {
  const std::vector<float> logits = RandomLogits(1000, 11);
  std::set<std::vector<int32_t>> sequences;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<int32_t> first, second;
    for (uint64_t p = 0; p < 30; ++p) first.push_back(SampleOne(logits, Plain(seed), p));
    for (uint64_t p = 0; p < 30; ++p) second.push_back(SampleOne(logits, Plain(seed), p));
    EXPECT_EQ(first, second);
    EXPECT_GT(std::set<int32_t>(first.begin(), first.end()).size(), 5u);
    sequences.insert(first);
  }
  EXPECT_EQ(sequences.size(), 20u);
}

TEST(Sampler, TheAnswerDoesNotDependOnTheCallsBefore) {
  const std::vector<float> logits = RandomLogits(500, 13);
  SamplingParams params;
  params.repetition_penalty = 1.3f;
  params.frequency_penalty = 0.5f;
  params.logprobs = 3;
  const std::vector<int32_t> prompt = {1, 7, 7, 400};
  Sampler used(logits.size());
  for (uint64_t i = 0; i < 50; ++i) {  // a busy past with other parameters
    if (i % 10 == 0) used.Reset(Plain(i), std::vector<int32_t>{static_cast<int32_t>(i)});
    ASSERT_TRUE(used.Sample(RandomLogits(500, 100 + i), i));
  }
  Sampler fresh(logits.size());
  used.Reset(params, prompt);
  fresh.Reset(params, prompt);
  for (uint64_t p = 4; p < 60; ++p) {
    const auto a = used.Sample(logits, p), b = fresh.Sample(logits, p);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->token, b->token);
    EXPECT_EQ(a->logprob, b->logprob);
  }
}

}  // namespace
}  // namespace lockstep
