// The tensors of a llama-architecture model, checked by name, type and shape and repacked for the
// kernels. Immutable after loading.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/gguf.h"
#include "core/kernels/packed_matrix.h"
#include "core/kernels/thread_pool.h"
#include "core/model_config.h"
#include "core/status.h"

namespace lockstep {

struct LayerWeights {
  std::vector<float> attn_norm;  // [dim]
  PackedMatrix wq;               // [q_dim][dim]
  PackedMatrix wk, wv;           // [kv_dim][dim]
  PackedMatrix wo;               // [dim][q_dim]
  std::vector<float> ffn_norm;   // [dim]
  PackedMatrix w_gate, w_up;     // [ffn_dim][dim]
  PackedMatrix w_down;           // [dim][ffn_dim]
};

struct Weights {
  PackedMatrix token_embd;                 // [vocab][dim]
  std::vector<LayerWeights> layers;        // [layers]
  std::vector<float> output_norm;          // [dim]
  std::optional<PackedMatrix> own_output;  // [vocab][dim]; absent when tied
  const PackedMatrix& output() const { return own_output ? *own_output : token_embd; }
  size_t bytes() const;
};

// Called after each tensor has been read, so that its pages can be dropped.
using TensorDone = std::function<void(const GgufTensor&)>;

// Errors are kBadFile and name the tensor: missing, another shape than the metadata says, an
// unsupported type, NaN or infinity in a norm or a block scale.
[[nodiscard]] Result<Weights> LoadWeights(const GgufFile& file, const ModelConfig& config,
                                          ThreadPool& pool, const TensorDone& done = {});

// The same checks, but nothing is kept.
[[nodiscard]] Status CheckWeights(const GgufFile& file, const ModelConfig& config,
                                  const TensorDone& done = {});

}  // namespace lockstep
