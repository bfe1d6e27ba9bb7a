// The tensors of a layer that does not attend; a part of weights.h.
#pragma once

#include <string>
#include <vector>

#include "core/kernels/packed_matrix.h"
#include "core/transformer/config_types.h"
#include "core/transformer/tensor_reader.h"

namespace lockstep {

// By RecurrenceSizes.
struct RecurrentWeights {
  PackedMatrix in;          // [channels][dim]
  PackedMatrix factor;      // the same, of a short convolution: what `in` is multiplied by
  PackedMatrix gate;        // [inner][dim]
  PackedMatrix beta, step;  // [value_heads][dim]
  std::vector<float> taps;  // [taps][channels], the newest position's last
  // Of the decay exp(rate * softplus(step + step_bias)).
  std::vector<float> step_bias, rate;  // [value_heads]
  std::vector<float> norm;             // [head_dim]
  PackedMatrix out;                    // [dim][inner]
};

// `prefix` is that of the layer's tensors: "blk.7.".
void LoadRecurrent(TensorReader& tensors, const ModelConfig& config, const std::string& prefix,
                   RecurrentWeights& out);

}  // namespace lockstep
