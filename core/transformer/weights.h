// The tensors of a model, checked by name, type and shape and repacked for the kernels. What
// families store in different ways is alike here: fused matrices are taken apart, and the rows of
// wq and wk are in an order in which the pairs that RoPE rotates are side by side. Immutable after
// loading.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/kernels/packed_matrix.h"
#include "core/kernels/thread_pool.h"
#include "core/transformer/model_config.h"

namespace lockstep {

// Those that a model does not have are empty.
struct Norm {
  std::vector<float> weight, bias;  // [n]
};

struct Linear {
  PackedMatrix weight;      // [out][in]
  std::vector<float> bias;  // [out]
};

struct FeedForward {
  Linear gate, up;  // [ffn_dim][dim]
  Linear down;      // [dim][ffn_dim]
};

struct LayerWeights {
  Norm attn_norm, attn_post_norm;     // [dim]
  Linear wq;                          // [q_dim][dim]
  Linear wk, wv;                      // [kv_dim][dim]
  std::vector<float> q_norm, k_norm;  // [head_dim], or [q_dim] and [kv_dim]
  Linear wo;                          // [dim][q_dim]
  Norm ffn_norm, ffn_post_norm;       // [dim]
  PackedMatrix router;                // [experts][dim]
  std::vector<FeedForward> ffn;       // one, or [experts]
};

struct Weights {
  PackedMatrix token_embd;                 // [vocab][dim]
  PackedMatrix position_embd;              // [context][dim], or empty
  std::vector<float> rope_factors;         // [rope_dim / 2], or empty
  std::vector<LayerWeights> layers;        // [layers]
  Norm output_norm;                        // [dim]
  std::optional<PackedMatrix> own_output;  // [vocab][dim]; absent when tied
  const PackedMatrix& output() const { return own_output ? *own_output : token_embd; }
  size_t bytes = 0;  // of all of them
};

// Called after each tensor has been read, so that its pages can be dropped.
using TensorDone = std::function<void(const GgufTensor&)>;

// Errors are kBadFile and name the tensor: missing, unknown, another shape than the metadata says,
// an unsupported type, NaN or infinity in a norm or a block scale.
[[nodiscard]] Result<Weights> LoadWeights(const GgufFile& file, const ModelConfig& config,
                                          ThreadPool& pool, const TensorDone& done = {});

// Makes the checks of LoadWeights and keeps nothing.
[[nodiscard]] Status CheckWeights(const GgufFile& file, const ModelConfig& config,
                                  const TensorDone& done = {});

}  // namespace lockstep
