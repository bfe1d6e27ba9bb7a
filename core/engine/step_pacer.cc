// The time of a step is taken to be linear: what it costs to decode for those that do, which is
// nearly constant as long as reading the weights prevails, and a share for each prompt token. Both
// are learned as exponential moving averages from the steps that were made, steps without prompt
// tokens for the one and all others for the other. The budget is what is left of the time that a
// stream may pause. With 50 ms for decoding and 2 ms for a prompt token, (200 - 50) / 2 = 75
// tokens.
#include "core/engine/step_pacer.h"

#include <algorithm>

namespace lockstep {
namespace {

// A stream that pauses for a fifth of a second still reads as one. Where nobody reads yet, longer
// steps waste less, but a cancelled request holds its session until the step ends.
constexpr double kStreamStep = 0.2, kPrefillStep = 0.5;
// What a first step takes, before anything was measured; and the fewest that any step takes, since
// fewer rows than these cost a matrix product as much.
constexpr size_t kFirstPrefill = 64, kMinPrefill = 16;
constexpr double kSmoothing = 0.3;  // weight of the newest step against all before it
// The weight of the newest step where a line is fitted, which needs more steps; and the share of a
// step that a row is taken to add until steps of different sizes were seen.
constexpr double kLineSmoothing = 0.03, kFirstRowShare = 0.15;
constexpr double kLeastChance = 0.05;  // a guess that is hardly ever right is worth nothing

void Blend(double& average, double value) {
  average = average == 0 ? value : average + kSmoothing * (value - average);
}

}  // namespace

size_t StepPacer::PrefillTokens(size_t decoding) const {
  const double time = decoding > 0 ? std::max(0.0, kStreamStep - decode_s_) : kPrefillStep;
  const double tokens =
      prefill_token_s_ == 0 ? static_cast<double>(kFirstPrefill) : time / prefill_token_s_;
  const double lowest = static_cast<double>(std::min(kMinPrefill, max_prefill_));
  return static_cast<size_t>(std::clamp(tokens, lowest, static_cast<double>(max_prefill_)));
}

// A guess that is right with chance p brings p tokens for r seconds more: worth it where p / r is
// more than the tokens a second that the step brings without it. That is n / s for n streams at s
// seconds a step; and where guesses are mostly right, the more that steps with guesses bring, for
// a step that ends sooner is followed by such a one (the marginal value theorem, Charnov, 1976). r
// is the slope of a line through the steps of late.
double StepPacer::LeastChance(size_t decoding, double making_s) const {
  const auto rows = static_cast<double>(decoding);
  const double row_s = rows_variance_ > 0.25 ? std::max(0.0, covariance_ / rows_variance_)
                                             : kFirstRowShare * rows_s_ / std::max(1.0, rows_);
  const double step_s = rows_s_ + (rows - rows_) * row_s;
  if (step_s <= 0) return 1;
  const double rate =
      std::max(rows / step_s, rows * (1 + kept_) / (step_s + rows * beside_ * row_s));
  return std::clamp(rate * (row_s + making_s), kLeastChance, 1.0);
}

void StepPacer::Observe(const StepStats& step) {
  const double seconds = step.seconds - step.guessing_s;
  if (step.prefill_tokens == 0) {
    Blend(decode_s_, seconds);
    const auto rows = static_cast<double>(step.decoding + step.drafted + step.fed_again);
    const double weight = rows_s_ == 0 ? 1 : kLineSmoothing;
    const double off = rows - rows_;
    rows_ += weight * off;
    covariance_ += weight * ((1 - weight) * off * (seconds - rows_s_) - covariance_);
    rows_variance_ += weight * ((1 - weight) * off * off - rows_variance_);
    rows_s_ += weight * (seconds - rows_s_);
    if (step.decoding > 0) {
      const auto each = static_cast<double>(step.decoding);
      kept_ += weight * (static_cast<double>(step.kept) / each - kept_);
      beside_ += weight * ((rows - each) / each - beside_);
    }
  } else {
    // Decoding was measured in other steps and may have been dearer there; some of the time is
    // always the prompts'.
    const double decode = step.decoding > 0 ? std::min(decode_s_, 0.9 * seconds) : 0;
    Blend(prefill_token_s_, (seconds - decode) / static_cast<double>(step.prefill_tokens));
  }
}

}  // namespace lockstep
