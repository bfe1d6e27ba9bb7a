// The weights of feed-forward networks and of a mixture of them, taken out of a file.
#pragma once

#include <string>
#include <vector>

#include "core/transformer/config_types.h"
#include "core/transformer/tensor_reader.h"

namespace lockstep {

struct FeedForward {
  Linear gate, up;  // [ffn_dim][dim]
  Linear down;      // [dim][ffn_dim]
};

struct MixtureWeights {
  std::vector<float> router_norm;  // [dim] weights of a norm of the stream for the router alone
  Linear router;                   // [experts][dim]
  std::vector<float> choice_bias;  // [experts]
  std::vector<FeedForward> experts;
  PackedMatrix shared_gate;  // [1][dim]
  Norm norm, post_norm;      // [dim] of what goes into the experts alone, and comes out
  Norm dense_post_norm;      // [dim] of what the dense network beside them makes
};

// `prefix` is that of the layer's tensors: "blk.7.".
void LoadMixture(TensorReader& tensors, const ModelConfig& config, const std::string& prefix,
                 MixtureWeights& out);

}  // namespace lockstep
