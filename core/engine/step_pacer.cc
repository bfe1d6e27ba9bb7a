#include "core/engine/step_pacer.h"

#include <algorithm>

namespace lockstep {
namespace {

// A stream that pauses for a fifth of a second still reads as one. Where nobody reads yet, longer
// steps waste less, but a cancelled request holds its session until the step ends.
constexpr double kStreamStep = 0.2, kPrefillStep = 0.5;
// Before anything was measured; and less than a few rows cost as much as these.
constexpr size_t kFirstPrefill = 64, kLeastPrefill = 16;
constexpr double kNewest = 0.3;  // weight of the newest step against all before it

void Blend(double& average, double value) {
  average = average == 0 ? value : average + kNewest * (value - average);
}

}  // namespace

size_t StepPacer::PrefillTokens(size_t decoding) const {
  const double time = decoding > 0 ? std::max(0.0, kStreamStep - decode_s_) : kPrefillStep;
  const double tokens =
      prefill_token_s_ == 0 ? static_cast<double>(kFirstPrefill) : time / prefill_token_s_;
  const double least = static_cast<double>(std::min(kLeastPrefill, max_prefill_));
  return static_cast<size_t>(std::clamp(tokens, least, static_cast<double>(max_prefill_)));
}

void StepPacer::Observe(const StepStats& step) {
  if (step.prefill_tokens == 0) {
    Blend(decode_s_, step.seconds);
  } else {
    const double decode = step.decoding > 0 ? std::min(decode_s_, 0.9 * step.seconds) : 0;
    Blend(prefill_token_s_, (step.seconds - decode) / static_cast<double>(step.prefill_tokens));
  }
}

}  // namespace lockstep
