// What a row of logits says of its tokens: the logprob of any of them, how many are likelier, and
// which are the likeliest. One function for the tokens of answers, of prompts and of evaluated
// texts, so that the same row gives the same bits to all of them. Immutable, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/kernels/kernels.h"

namespace lockstep {

struct TokenLogprob {
  int32_t token;
  float logprob;  // natural log of the softmax of the unmodified logits
};

class LogSoftmax {
 public:
  // `logits` must outlive it. REQUIRES: not empty.
  explicit LogSoftmax(std::span<const float> logits /* [vocab] */,
                      const KernelTable& kernels = ScalarKernels());

  // False where no logit is finite: the logprobs mean nothing then.
  bool finite() const { return finite_; }
  // The logprob of a token with this logit in the row, in double.
  double Of(float logit) const;
  // The logprob of a token, made finite: at least -FLT_MAX. REQUIRES: 0 <= token < vocab.
  float operator[](int32_t token) const;
  // The token's place among all by their logits, 1 for the likeliest; the lower id among equals is
  // before the others.
  size_t Rank(int32_t token) const;
  // The likeliest tokens in that order, as many as `top` holds and as are not -infinity; how many
  // these are.
  size_t Top(std::span<TokenLogprob> top) const;

 private:
  const std::span<const float> logits_;
  double largest_, log_sum_;
  bool finite_;
};

}  // namespace lockstep
