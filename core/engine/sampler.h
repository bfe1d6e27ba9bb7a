// Picks a token from logits. A pure function of (logits, parameters, seed, position, the tokens
// before it): random numbers come from Philox4x32-10 keyed by seed and position, so there is no
// generator state to lose. A Sampler only owns scratch memory and token counts; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

struct SamplingParams {
  float temperature = 0.8f;         // 0 is greedy: the largest logit, the lowest id among equals
  int32_t top_k = 40;               // 0: off
  float top_p = 0.95f;              // 1: off
  float min_p = 0.05f;              // 0: off
  float repetition_penalty = 1.0f;  // on tokens of prompt and output (CTRL, Keskar et al. 2019)
  float presence_penalty = 0.0f;    // on tokens of the output, as OpenAI defines it
  float frequency_penalty = 0.0f;   // the same, times the count
  std::vector<std::pair<int32_t, float>> logit_bias;  // added to the logits first
  uint64_t seed = 0;
  int32_t logprobs = -1;  // -1: none; 0: the chosen token's; n: also those of the n likeliest
};

struct TokenLogprob {
  int32_t token;
  float logprob;  // natural log of the softmax of the unmodified logits
};

struct SampledToken {
  int32_t token = -1;
  float logprob = 0;              // of the token, if asked for
  std::vector<TokenLogprob> top;  // the n likeliest, best first, if asked for
};

class Sampler {
  struct Candidate {
    int32_t token;
    float logit;
    double weight;  // unnormalized probability, 1 for the likeliest
  };

 public:
  explicit Sampler(size_t vocab);  // allocates all that Sample needs
  // What that is, at most.
  static size_t Bytes(size_t vocab) {
    return vocab * (sizeof(float) + sizeof(Candidate) + sizeof(int32_t) + sizeof(uint8_t) +
                    sizeof(uint32_t));
  }

  // Starts a new sequence; `prompt` counts for the repetition penalty.
  // REQUIRES: ids of prompt and params.logit_bias in [0, vocab).
  void Reset(const SamplingParams& params, std::span<const int32_t> prompt);

  // Order: bias, penalties, the allowed tokens, greedy or (temperature, top-k, top-p, min-p, draw).
  // Counts the token as output. NaN counts as -infinity, +infinity as the largest float; kInternal
  // if no logit is finite, or none is left after the penalties. `position` is that of the new
  // token. `allowed`: bit i % 64 of word i / 64 says whether token i is; empty: all are.
  [[nodiscard]] Result<SampledToken> Sample(
      std::span<const float> logits /* [vocab] */, uint64_t position,
      std::span<const uint64_t> allowed = {} /* [(vocab + 63) / 64] */);

 private:
  // The order of all selections: total, so that no sort can give two results.
  static bool Better(const Candidate& a, const Candidate& b);

  bool CopyLogits(std::span<const float> logits /* [vocab] */);  // false if none is finite
  void Adjust();                                                 // bias and penalties
  void ApplyMask(std::span<const uint64_t> allowed);             // the others get -infinity
  int32_t ArgMax() const;
  int32_t Draw(float largest, double uniform);
  void SelectTop(size_t k);    // candidates_: the k best, best first
  void KeepTopP(double mass);  // the best of candidates_ that together weigh `mass`
  void MarkSeen(int32_t token);

  SamplingParams params_;
  std::vector<float> logits_;           // [vocab] bias, penalties and what is allowed included
  std::vector<Candidate> candidates_;   // at most [vocab]
  std::vector<int32_t> seen_;           // distinct tokens of prompt and output
  std::vector<uint8_t> is_seen_;        // [vocab]
  std::vector<uint32_t> output_count_;  // [vocab]
};

// Philox4x32-10 (Salmon et al., SC 2011): 4 random words from a 128-bit counter and a 64-bit key.
struct PhiloxBlock {
  uint32_t word[4];
};
PhiloxBlock Philox4x32(const PhiloxBlock& counter, uint32_t key0, uint32_t key1);
// The draw of `position`: uniform in [0, 1), 53 bits.
double UniformAt(uint64_t seed, uint64_t position);

}  // namespace lockstep
