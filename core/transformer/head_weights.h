// The weights of what a text's pooled vector goes through, taken out of a file. See HeadConfig.
#pragma once

#include <vector>

#include "core/transformer/config_types.h"
#include "core/transformer/tensor_reader.h"

namespace lockstep {

struct HeadWeights {
  std::vector<Linear> dense;  // one after the other: [n][dim], [outputs][n]
  Linear hidden;              // [n][dim] of a score, or empty; what it makes is activated
  Norm norm;                  // [n] of that
  Linear output;              // [outputs][n], or [outputs][dim]
};

// Loads all of a head but the rows of answers, which are the embedding's.
void LoadHead(TensorReader& tensors, const ModelConfig& config, HeadWeights& out);

}  // namespace lockstep
