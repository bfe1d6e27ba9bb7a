// The tensors of a model, checked by name, type and shape and repacked for the kernels. What
// families store in different ways is alike here: fused matrices are taken apart, and the rows of
// wq and wk are in an order in which the pairs that RoPE rotates are side by side. Immutable after
// loading.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/kernels/packed_matrix.h"
#include "core/kernels/thread_pool.h"
#include "core/transformer/config_types.h"
#include "core/transformer/head_weights.h"
#include "core/transformer/mixture_weights.h"
#include "core/transformer/recurrence_weights.h"

namespace lockstep {

// See LatentConfig; queries in two parts, "plain" and "rope".
struct LatentWeights {
  Linear query_down;              // [query_rank][dim]
  std::vector<float> query_norm;  // [query_rank]
  Linear query;                   // [heads][plain + rope][query_rank or dim]
  Linear key;                     // [rank + rope][dim]
  std::vector<float> key_norm;    // [rank]
  std::vector<Linear> key_up;     // [heads], [rank][plain]
  std::vector<Linear> value_up;   // [heads], [value][rank]
};

// An embedding of the token that one layer has.
struct LayerInput {
  Linear gate;     // [layer_input_dim][dim]
  Linear project;  // [dim][layer_input_dim]
  Norm post_norm;  // [dim]
};

struct LayerWeights {
  Norm attn_norm, attn_post_norm;          // [dim]
  Norm attn_stream_norm, ffn_stream_norm;  // [dim] of the stream, after each addition
  Norm attn_second_norm;       // [dim] where the layer's input is added once more after attention's
  RecurrentWeights recurrent;  // in place of those down to wo
  Linear wq;                   // [q_dim][dim]
  Linear attn_gate;            // [attended_dim][dim] of gated attention
  Linear wk, wv;               // [k_dim][dim], [v_dim][dim]; empty where another's are read
  Norm q_norm, k_norm;         // [head.key], or [q_dim] and [k_dim]
  std::vector<float> v_norm;   // [head.value]
  std::vector<float> sinks;    // [heads]
  LatentWeights latent;        // instead of wq, wk, wv
  Linear wo;                   // [dim][attended_dim], of latent attention [heads * value]
  Norm ffn_norm, ffn_post_norm;  // [dim]
  FeedForward dense;             // the network, or the shared one beside experts
  MixtureWeights mixture;
  LayerInput input;
  float output_scale = 1;
};

// What a block that guesses ahead (multi-token prediction, "nextn" in GGUF) makes its input of: the
// embedding of a token, and the hidden state that was left of the token before it, which is what
// the model's last norm made of the stream. Formulas: qwen3_5_mtp.py and glm4_moe_mtp.py of vLLM,
// qwen35.cpp of llama.cpp.
struct MtpWeights {
  Norm embedding_norm, hidden_norm;  // [dim]
  Linear join;                       // [dim][2 * dim], of the embedding and then the hidden state
  Norm trunk_norm;                   // [dim] the last one of the model that it guesses for
};

struct Weights {
  // [vocab][dim]. Shared with those of the block that guesses ahead, as is own_output.
  std::shared_ptr<const PackedMatrix> token_embd;
  PackedMatrix position_embd;             // [context][dim], or empty
  PackedMatrix token_types;               // [types][dim], or empty
  Norm embedding_norm;                    // [dim]
  PackedMatrix layer_embd;                // [vocab][layers * layer_input_dim]
  Linear layer_project;                   // [layers * layer_input_dim][dim]
  std::vector<float> layer_project_norm;  // [layer_input_dim]
  std::vector<float> rope_factors;        // [rope_dim / 2], or empty
  std::vector<LayerWeights> layers;       // [layers]
  Norm output_norm;                       // [dim]
  // [vocab][dim]; absent when tied
  std::shared_ptr<const PackedMatrix> own_output;
  float output_scale = 1;  // of the product with own_output
  HeadWeights head;
  MtpWeights mtp;  // of a block that guesses ahead
  const PackedMatrix& output() const { return own_output ? *own_output : *token_embd; }
  size_t bytes = 0;  // of all of them
};

// Called after each tensor has been read, so that its pages can be dropped.
using TensorDone = std::function<void(const GgufTensor&)>;

// Errors are kBadFile and name the tensor: missing, unknown, another shape than the metadata says,
// an unsupported type, NaN or infinity in a norm or a block scale.
[[nodiscard]] Result<Weights> LoadWeights(const GgufFile& file, const ModelConfig& config,
                                          ThreadPool& pool, const TensorDone& done = {});

// The weights of the block that guesses ahead for the model with `trunk`'s, of which it takes what
// it has not itself. `config` is MtpConfig's, `block` the block's number in the file. Errors are
// those of LoadWeights, but tensors that the block has beyond its own are not looked at.
[[nodiscard]] Result<Weights> LoadMtpWeights(const GgufFile& file, const ModelConfig& config,
                                             size_t block, const Weights& trunk, ThreadPool& pool,
                                             const TensorDone& done = {});

// Makes the checks of LoadWeights and keeps nothing.
[[nodiscard]] Status CheckWeights(const GgufFile& file, const ModelConfig& config,
                                  const TensorDone& done = {});

}  // namespace lockstep
