// Picks a token from logits. A pure function of (logits, parameters, seed, position, the tokens
// before it): random numbers come from Philox4x32-10 keyed by seed and position, so there is no
// generator state to lose. A Sampler only owns scratch memory and token counts; not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/engine/log_softmax.h"

namespace lockstep {

// Don't Repeat Yourself (p-e-w, 2024): a token that would make the end of the text longer than
// `allowed_length` tokens alike to an earlier place loses multiplier * base ^ (length -
// allowed_length).
struct DryParams {
  float multiplier = 0;  // 0: off
  float base = 1.75f;    // at least 1
  int32_t allowed_length = 2;
  int32_t last_n = -1;  // tokens that are looked at; -1: all
  // [vocab] the tokens that no repetition reaches across; null: none.
  std::shared_ptr<const std::vector<bool>> breakers;
};

struct SamplingParams {
  float temperature = 0.8f;         // 0 is greedy: the largest logit, the lowest id among equals
  int32_t top_k = 40;               // 0: off
  float top_p = 0.95f;              // 1: off
  float min_p = 0.05f;              // 0: off
  float repetition_penalty = 1.0f;  // on tokens of prompt and output (CTRL, Keskar et al. 2019)
  float presence_penalty = 0.0f;    // on tokens of the output, as OpenAI defines it
  float frequency_penalty = 0.0f;   // the same, times the count
  // Tokens, the last ones of prompt and output, that the three penalties count; -1: as above.
  int32_t repeat_last_n = -1;
  DryParams dry;
  // The temperature is from temperature - range to temperature + range, as the entropy of the
  // distribution is from none to the most (Zhu et al., 2024); a range of 0: off.
  float dynatemp_range = 0, dynatemp_exponent = 1;
  // Logits that are so many standard deviations below the largest are cut off (Tang et al., 2024);
  // 0 or less: off.
  float top_n_sigma = -1;
  float typical_p = 1;  // locally typical sampling (Meister et al., 2023); 1: off
  // With this probability all tokens but the last of those that have at least the threshold are
  // cut off ("exclude top choices"); 0, or a threshold above 0.5: off.
  float xtc_probability = 0, xtc_threshold = 0.1f;
  std::vector<std::pair<int32_t, float>> logit_bias;  // added to the logits first
  uint64_t seed = 0;
  int32_t logprobs = -1;  // -1: none; 0: the chosen token's; n: also those of the n likeliest
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

  // What Reset allocates for these, for a text of so many tokens.
  static size_t ExtraBytes(const SamplingParams& params, size_t vocab, size_t longest);

  // Starts a new sequence; `prompt` counts for the repetition penalty, and must outlive the
  // sequence. Allocates what the parameters need beside Bytes, which is ExtraBytes, where prompt
  // and output together have at most `longest` tokens.
  // REQUIRES: ids of prompt and params.logit_bias in [0, vocab).
  void Reset(const SamplingParams& params, std::span<const int32_t> prompt, size_t longest = 0);

  // Order: bias, penalties, DRY, the allowed tokens, greedy or (top-n-sigma, temperature, top-k,
  // typical, min-p, top-p, XTC, draw). Counts the token as output, and the tokens of `output` are
  // those before it. NaN counts as -infinity, +infinity as the largest float; kInternal
  // if no logit is finite, or none is left after the penalties. `position` is that of the new
  // token. `allowed`: bit i % 64 of word i / 64 says whether token i is; empty: all are.
  [[nodiscard]] Result<SampledToken> Sample(
      std::span<const float> logits /* [vocab] */, uint64_t position,
      std::span<const uint64_t> allowed = {} /* [(vocab + 63) / 64] */,
      std::span<const int32_t> output = {});

 private:
  // The order of all selections: total, so that no sort can give two results.
  static bool Better(const Candidate& a, const Candidate& b);

  bool CopyLogits(std::span<const float> logits /* [vocab] */);  // false if none is finite
  void Adjust(std::span<const int32_t> output);                  // bias and penalties
  // What is counted of prompt and output from the end: at most last_n tokens, -1 for all.
  size_t Window(int32_t last_n, std::span<const int32_t> output) const;
  int32_t FromEnd(size_t i, std::span<const int32_t> output) const;  // 0: the last token
  void PenalizeRepeats(std::span<const int32_t> output);
  void PenalizeRuns(std::span<const int32_t> output);  // DRY
  void CutSigma();
  double Temperature(float largest) const;
  double WeighAll(float largest, double temperature);  // candidates_: all but -infinity; the total
  void KeepTypical(double largest, double temperature, double total);
  void ExcludeTop(uint64_t position);
  void ApplyMask(std::span<const uint64_t> allowed);  // the others get -infinity
  int32_t ArgMax() const;
  int32_t Draw(float largest, uint64_t position);
  void SelectTop(size_t k);  // candidates_: the k best, best first
  // Moves those of candidates_ that are the first by Better and weigh about `mass` or more together
  // before all others, in any order: how many.
  size_t HeavyFirst(double mass, float largest);
  // The first of candidates_, in an order that is total, that together weigh `mass`. The first
  // `front` are before the others in that order.
  template <class Order>
  void KeepFirst(double mass, size_t front, const Order& before);
  void MarkSeen(int32_t token);

  SamplingParams params_;
  std::vector<float> logits_;           // [vocab] bias, penalties and what is allowed included
  std::vector<Candidate> candidates_;   // at most [vocab]
  std::vector<int32_t> seen_;           // distinct tokens of prompt and output
  std::vector<uint8_t> is_seen_;        // [vocab]
  std::vector<uint32_t> output_count_;  // [vocab]
  std::span<const int32_t> prompt_;
  std::vector<uint32_t> count_;  // [vocab] zeros, if the penalties have a window, or with DRY
  std::vector<uint32_t> alike_;  // with DRY: for each token from the end, how long a run ends there
};

// Philox4x32-10 (Salmon et al., SC 2011): 4 random words from a 128-bit counter and a 64-bit key.
struct PhiloxBlock {
  uint32_t word[4];
};
PhiloxBlock Philox4x32(const PhiloxBlock& counter, uint32_t key0, uint32_t key1);
// The draw of `position`: uniform in [0, 1), 53 bits. Each `purpose` has draws of its own.
double UniformAt(uint64_t seed, uint64_t position, uint32_t purpose = 0);

}  // namespace lockstep
