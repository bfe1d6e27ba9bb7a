// Picks a token from logits. A pure function of (logits, parameters, seed, position, the tokens
// before it): random numbers come from Philox4x32-10 keyed by seed and position, so there is no
// generator state to lose. A Sampler only owns scratch memory and token counts; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/engine/log_softmax.h"
#include "core/engine/logit_scan.h"
#include "core/engine/penalties.h"
#include "core/engine/sampling_params.h"
#include "core/kernels/kernels.h"

namespace lockstep {

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
  // Allocates all that Sample needs.
  explicit Sampler(size_t vocab, const KernelTable& kernels = ScalarKernels());
  // What that is, at most.
  static size_t Bytes(size_t vocab) {
    return vocab * (sizeof(float) + sizeof(Candidate)) + Sums(vocab) * sizeof(double) +
           Penalties::Bytes(vocab);
  }

  // Starts a new sequence; `prompt` counts for the repetition penalty, and must outlive the
  // sequence. Allocates what Penalties::ExtraBytes says of a text of `longest` tokens.
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
  static constexpr size_t Sums(size_t vocab) { return (vocab + kExpsAtOnce - 1) / kExpsAtOnce; }
  // The order of all selections: total, so that no sort can give two results.
  static bool Better(const Candidate& a, const Candidate& b);

  bool CopyLogits(std::span<const float> logits /* [vocab] */);  // false if none is finite
  void Adjust(std::span<const int32_t> output);                  // bias and penalties
  void CutSigma();
  double Temperature(float largest) const;
  double WeighAll(float largest, double temperature);  // candidates_: all but -infinity; the total
  void KeepTypical(double largest, double temperature, double total);
  void ExcludeTop(uint64_t position);
  void ApplyMask(std::span<const uint64_t> allowed);  // the others get -infinity
  int32_t ArgMax() const;
  int32_t Draw(float largest, uint64_t position);
  int32_t DrawOfAll(float largest, double temperature, uint64_t position);
  void SelectTop(size_t k);  // candidates_: the k best, best first
  // Moves those of candidates_ that are the first by Better and weigh about `mass` or more together
  // before all others, in any order: how many.
  size_t HeavyFirst(double mass, float largest);
  // The first of candidates_, in an order that is total, that together weigh `mass`. The first
  // `front` are before the others in that order.
  template <class Order>
  void KeepFirst(double mass, size_t front, const Order& before);

  const KernelTable* kernels_;
  SamplingParams params_;
  Penalties penalties_;
  std::vector<float> logits_;          // [vocab] bias, penalties and what is allowed included
  std::vector<Candidate> candidates_;  // at most [vocab]
  std::vector<double> sums_;           // [Sums(vocab)] of the weights before each kExpsAtOnce
};

}  // namespace lockstep
