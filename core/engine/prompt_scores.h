// The logprobs of a prompt's own tokens, each given those before it, as they come out of the
// forward passes that read the prompt anyway. One session's; rows may be scored from several
// threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/engine/log_softmax.h"

namespace lockstep {

// The logprobs of a prompt's tokens, but for the first, which follows nothing: tokens[i] is that of
// the prompt's token i + 1.
struct PromptLogprobs {
  std::vector<TokenLogprob> tokens;
  std::vector<uint32_t> ranks;    // [tokens.size()] 1 for the likeliest token
  size_t width = 0;               // how many of the likeliest tokens are named at each place
  std::vector<TokenLogprob> top;  // [tokens.size()][width], best first

  std::span<const TokenLogprob> Top(size_t i) const {
    return std::span(top).subspan(i * width, width);
  }
  // What the logprobs of a prompt of so many tokens take.
  static size_t Bytes(size_t prompt, size_t width) {
    return prompt * (sizeof(TokenLogprob) * (1 + width) + sizeof(uint32_t));
  }
};

class PromptScores {
 public:
  explicit PromptScores(const KernelTable& kernels = ScalarKernels()) : kernels_(&kernels) {}

  // Allocates all that scoring needs. `width`: as above; more than the vocabulary has is cut to it.
  // REQUIRES: a prompt.
  void Begin(std::span<const int32_t> prompt, size_t width, size_t vocab);
  // Writes down what the logits of position i, which is not the last, say of token i + 1. Any order
  // and any thread, but one at a time for each i.
  void Score(size_t i, std::span<const float> logits /* [vocab] */);
  // False where a row had no finite logit.
  bool finite() const;
  // Gives them away. REQUIRES: every position but the last was scored.
  PromptLogprobs Take() { return std::exchange(scores_, {}); }

 private:
  const KernelTable* kernels_;
  PromptLogprobs scores_;
};

}  // namespace lockstep
