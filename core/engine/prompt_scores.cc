// All memory is taken when a prompt begins, so that a step, which serves everybody, only writes.
#include "core/engine/prompt_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lockstep {

void PromptScores::Begin(std::span<const int32_t> prompt, size_t width, size_t vocab) {
  const size_t count = prompt.size() - 1;
  scores_.width = std::min(width, vocab);
  scores_.tokens.resize(count);
  scores_.ranks.resize(count);
  scores_.top.resize(count * scores_.width);
  for (size_t i = 0; i < count; ++i) scores_.tokens[i].token = prompt[i + 1];
}

void PromptScores::Score(size_t i, std::span<const float> logits) {
  const LogSoftmax softmax(logits, *kernels_);
  TokenLogprob& scored = scores_.tokens[i];
  if (!softmax.finite()) {
    scored.logprob = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  scored.logprob = softmax[scored.token];
  scores_.ranks[i] = static_cast<uint32_t>(softmax.Rank(scored.token));
  const auto top = std::span(scores_.top).subspan(i * scores_.width, scores_.width);
  // Where fewer tokens are possible than are asked for, the last of them stands for the others.
  const size_t found = softmax.Top(top);
  if (found < top.size()) std::ranges::fill(top.subspan(found), top[found - 1]);
}

bool PromptScores::finite() const {
  return std::ranges::none_of(scores_.tokens,
                              [](const TokenLogprob& t) { return std::isnan(t.logprob); });
}

}  // namespace lockstep
