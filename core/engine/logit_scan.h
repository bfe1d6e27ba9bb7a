// Walks through rows of logits, which have an entry for each token of the vocabulary: several at a
// time and without a branch for each, so that compilers make vector instructions of it. Nothing is
// added up here, so that no order matters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "core/kernels/kernels.h"

namespace lockstep {

// A logit as an ordered number: finite, or -infinity for "never". NaN counts as -infinity,
// +infinity as the largest float.
inline float CleanLogit(float x) {
  return x == x ? std::min(x, std::numeric_limits<float>::max())
                : -std::numeric_limits<float>::infinity();
}

// The largest, each as CleanLogit has it; -infinity if there is none.
float Largest(std::span<const float> logits);
bool AnyFinite(std::span<const float> logits);
// The first place from `from` on whose logit is more than `bound`; the number of logits if none is.
size_t NextAbove(std::span<const float> logits, size_t from, float bound);

inline constexpr size_t kExpsAtOnce = 64;  // few enough for the nearest cache

// Calls use(i, e^exponent(logits[i])) for each of them in order, with the exponents in double.
template <class Exponent, class Use>
void ForEachExp(const KernelTable& kernels, std::span<const float> logits, const Exponent& exponent,
                const Use& use) {
  double some[kExpsAtOnce];
  for (size_t at = 0; at < logits.size(); at += kExpsAtOnce) {
    const size_t n = std::min(kExpsAtOnce, logits.size() - at);
    for (size_t i = 0; i < n; ++i) some[i] = exponent(logits[at + i]);
    kernels.exps(some, n);
    for (size_t i = 0; i < n; ++i) use(at + i, some[i]);
  }
}

}  // namespace lockstep
