// The tokens a second that a machine allows a model: each step takes at least as long as its
// weights, keys and values take to be read, and as long as its products take.
#pragma once

#include <cstddef>

#include "core/model/model_cost.h"
#include "server/host/machine_speed.h"

namespace lockstep {

struct StepBound {
  double tokens_per_second = 0;
  const char* by = "memory";  // or "products"
};

// `streams` that get a token each, behind keys and values of `kv_bytes` each.
StepBound DecodeBound(const MachineSpeed& speed, const ModelCost& cost, size_t streams,
                      size_t kv_bytes);
// A prompt of so many tokens, `chunk` of them in a step. Without attention, which is little for
// some thousand tokens.
StepBound PrefillBound(const MachineSpeed& speed, const ModelCost& cost, size_t tokens,
                       size_t chunk);

}  // namespace lockstep
