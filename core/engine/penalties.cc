// A token's penalty is a function of how often it came, so each token is lowered once, whatever the
// order in which it was met.
#include "core/engine/penalties.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/engine/logit_scan.h"
#include "core/kernels/det_math.h"

namespace lockstep {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

// Whether how often a token came is counted anew for each token that is chosen.
bool Counts(const SamplingParams& params) {
  const bool penalties = params.repetition_penalty != 1 || params.presence_penalty != 0 ||
                         params.frequency_penalty != 0;
  return params.dry.multiplier != 0 || (penalties && params.repeat_last_n >= 0);
}

}  // namespace

Penalties::Penalties(size_t vocab) : is_seen_(vocab), output_count_(vocab) { seen_.reserve(vocab); }

size_t Penalties::ExtraBytes(const SamplingParams& params, size_t vocab, size_t longest) {
  const bool dry = params.dry.multiplier != 0;
  return ((Counts(params) ? vocab : 0) + (dry ? longest : 0)) * sizeof(uint32_t);
}

void Penalties::Reset(const SamplingParams& params, std::span<const int32_t> prompt,
                      size_t longest) {
  prompt_ = prompt;
  count_ = std::vector<uint32_t>(Counts(params) ? is_seen_.size() : 0);
  alike_ = {};
  if (params.dry.multiplier != 0) alike_.reserve(longest);
  for (const int32_t token : seen_) {
    is_seen_[token] = 0;
    output_count_[token] = 0;
  }
  seen_.clear();
  for (const int32_t token : prompt) See(token);
}

void Penalties::Count(int32_t token) {
  See(token);
  ++output_count_[token];
}

void Penalties::See(int32_t token) {
  if (is_seen_[token]) return;
  is_seen_[token] = 1;
  seen_.push_back(token);
}

void Penalties::Apply(const SamplingParams& params, std::span<const int32_t> output,
                      std::span<float> logits) {
  ApplyRepeats(params, output, logits);
  if (params.dry.multiplier != 0) ApplyRuns(params.dry, output, logits);
}

void Penalties::ApplyRepeats(const SamplingParams& params, std::span<const int32_t> output,
                             std::span<float> logits) {
  const float repetition = params.repetition_penalty;
  const float presence = params.presence_penalty, frequency = params.frequency_penalty;
  if (repetition == 1 && presence == 0 && frequency == 0) return;
  const auto penalize = [&](int32_t token, uint32_t count) {
    float x = logits[token];
    x = x > 0 ? x / repetition : x * repetition;
    if (count > 0) x -= presence + frequency * static_cast<float>(count);
    logits[token] = CleanLogit(x);
  };
  if (params.repeat_last_n < 0) {
    for (const int32_t token : seen_) penalize(token, output_count_[token]);
    return;
  }
  // Each token of the window once: the first look counts, the second takes the count away.
  const size_t window = Window(params.repeat_last_n, output);
  for (size_t i = 0; i < window; ++i) ++count_[FromEnd(i, output)];
  for (size_t i = 0; i < window; ++i) {
    const int32_t token = FromEnd(i, output);
    if (const uint32_t count = std::exchange(count_[token], 0); count > 0) penalize(token, count);
  }
}

size_t Penalties::Window(int32_t last_n, std::span<const int32_t> output) const {
  const size_t all = prompt_.size() + output.size();
  return last_n < 0 ? all : std::min(all, static_cast<size_t>(last_n));
}

int32_t Penalties::FromEnd(size_t i, std::span<const int32_t> output) const {
  return i < output.size() ? output[output.size() - 1 - i]
                           : prompt_[prompt_.size() - 1 - (i - output.size())];
}

// How far the text up to each place is like its end is found for all places in linear time by the
// Z-algorithm, over the text read backwards.
void Penalties::ApplyRuns(const DryParams& dry, std::span<const int32_t> output,
                          std::span<float> logits) {
  const size_t n = Window(dry.last_n, output);
  const auto at = [&](size_t i) { return FromEnd(i, output); };
  size_t most = 0;  // tokens before the first, from the end, that no repetition reaches across
  while (most < n && !(dry.breakers != nullptr && (*dry.breakers)[at(most)])) ++most;
  const auto allowed = static_cast<size_t>(std::max(dry.allowed_length, 0));
  if (most < std::max<size_t>(allowed, 1)) return;
  alike_.assign(n, 0);
  for (size_t i = 1, left = 0, right = 0; i < n; ++i) {
    size_t length = i < right ? std::min<size_t>(alike_[i - left], right - i) : 0;
    while (i + length < n && at(i + length) == at(length)) ++length;
    alike_[i] = static_cast<uint32_t>(length);
    if (i + length > right) left = i, right = i + length;
  }
  // The token that followed a place is the one that would repeat it; its longest run counts.
  const auto run = [&](size_t i) { return std::min<size_t>(alike_[i], most); };
  for (size_t i = 1; i < n; ++i) {
    uint32_t& longest = count_[at(i - 1)];
    if (run(i) >= std::max<size_t>(allowed, 1)) {
      longest = std::max(longest, static_cast<uint32_t>(run(i)));
    }
  }
  const double log_base = DetLog(std::max(1.0, double{dry.base}));
  for (size_t i = 1; i < n; ++i) {
    const int32_t token = at(i - 1);
    const uint32_t longest = std::exchange(count_[token], 0);
    if (longest == 0) continue;
    const double penalty = DetExp(log_base * static_cast<double>(longest - allowed));
    const double lowered = logits[token] - dry.multiplier * penalty;
    logits[token] = CleanLogit(static_cast<float>(std::max(lowered, -double{kLargest})));
  }
}

}  // namespace lockstep
