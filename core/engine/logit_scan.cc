// Each function takes whole groups of kAtOnce by a loop of a fixed length, and the rest one by
// one. Only where a group has what is looked for is it looked for one by one.
#include "core/engine/logit_scan.h"

#include <cmath>

namespace lockstep {
namespace {

constexpr size_t kAtOnce = 16;

}  // namespace

float Largest(std::span<const float> logits) {
  float lane[kAtOnce];
  std::fill_n(lane, kAtOnce, -std::numeric_limits<float>::infinity());
  size_t at = 0;
  for (; at + kAtOnce <= logits.size(); at += kAtOnce) {
    for (size_t i = 0; i < kAtOnce; ++i) {
      const float x = CleanLogit(logits[at + i]);
      lane[i] = x > lane[i] ? x : lane[i];
    }
  }
  for (; at < logits.size(); ++at) lane[0] = std::max(lane[0], CleanLogit(logits[at]));
  return *std::max_element(lane, lane + kAtOnce);
}

bool AnyFinite(std::span<const float> logits) {
  return std::any_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); });
}

size_t NextAbove(std::span<const float> logits, size_t from, float bound) {
  for (; from + kAtOnce <= logits.size(); from += kAtOnce) {
    int above = 0;
    for (size_t i = 0; i < kAtOnce; ++i) above |= logits[from + i] > bound ? 1 : 0;
    if (above != 0) break;
  }
  while (from < logits.size() && !(logits[from] > bound)) ++from;
  return from;
}

}  // namespace lockstep
