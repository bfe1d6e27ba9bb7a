// What tests of the sampler choose from, and how.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/engine/sampling_params.h"

namespace lockstep {

// Plain softmax sampling: every cut is off.
inline SamplingParams Plain(uint64_t seed = 1) {
  SamplingParams params;
  params.temperature = 1, params.top_k = 0, params.top_p = 1, params.min_p = 0;
  params.seed = seed;
  return params;
}

// The logits of probabilities.
inline std::vector<float> Logs(const std::vector<double>& p) {
  std::vector<float> logits;
  for (const double x : p) logits.push_back(static_cast<float>(std::log(x)));
  return logits;
}

}  // namespace lockstep
