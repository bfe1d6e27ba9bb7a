// The tensors of a recurrent layer; a part of weights.h.
#pragma once

#include <string>
#include <vector>

#include "core/kernels/packed_matrix.h"
#include "core/transformer/config_types.h"
#include "core/transformer/tensor_reader.h"

namespace lockstep {

// The weights of a recurrent layer; RecurrenceSizes has the numbers in their shapes.
struct RecurrentWeights {
  Linear in;                     // [channels][dim]
  Linear factor;                 // [channels][dim] by which a short convolution multiplies `in`
  Linear gate;                   // [inner][dim]
  Linear beta, step;             // [value_heads][dim]; no beta in Mamba-2
  std::vector<float> taps;       // [taps][channels], the newest position's last
  std::vector<float> taps_bias;  // [channels] of Mamba-2
  // Parameters of the decay, which is exp(rate * softplus(step + step_bias)).
  std::vector<float> step_bias, rate;  // [value_heads]
  std::vector<float> skip;  // [value_heads] by which Mamba-2 adds values to what it finds
  std::vector<float> norm;  // [head_dim]; in Mamba-2 [inner], or empty
  Linear out;               // [dim][inner]
};

// `prefix` is that of the layer's tensors: "blk.7.".
void LoadRecurrent(TensorReader& tensors, const ModelConfig& config, const std::string& prefix,
                   RecurrentWeights& out);

}  // namespace lockstep
