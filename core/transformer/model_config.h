// What one model file says of itself: sizes and settings, read from GGUF metadata and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/transformer/architectures.h"
#include "core/transformer/rope.h"

namespace lockstep {

struct ModelConfig {
  const Architecture* family = nullptr;
  std::string architecture;  // the family's name
  std::string name;          // general.name, cleaned and cut, or the architecture
  size_t dim = 0;            // embedding length
  size_t layers = 0;
  size_t heads = 0;
  size_t kv_heads = 0;  // divides heads
  size_t head_dim = 0;
  size_t rope_dim = 0;  // even, <= head_dim: as many values of a head are rotated; may be 0
  size_t ffn_dim = 0;   // of an expert, if there are experts
  size_t vocab = 0;
  size_t context = 0;  // longest sequence that the model was made for
  RopeConfig rope;
  float norm_eps = 1e-5f;

  size_t window = 0;                // positions that the layers with a sliding window see; 0: none
  std::vector<bool> window_layers;  // [layers], or empty: none has it
  RopeConfig window_rope;           // of the layers with the window

  float attention_scale = 0;     // of the scores
  float attention_soft_cap = 0;  // 0: none
  float logit_soft_cap = 0;      // 0: none
  float logit_scale = 1;
  float embedding_scale = 1;
  float residual_scale = 1;        // of what attention and feed-forward add
  bool parallel_residual = false;  // both add to the same input

  size_t experts = 0;             // 0: a dense model
  size_t experts_used = 0;        // by each token
  float expert_scale = 1;         // of all their weights
  bool normalize_experts = true;  // the weights of those used add up to 1

  size_t q_dim() const { return heads * head_dim; }
  size_t kv_dim() const { return kv_heads * head_dim; }
  bool has_window(size_t layer) const { return !window_layers.empty() && window_layers[layer]; }
  // SmolLM3's layers without rotation (NoPE) are the last of each period: 3, 7, 11, ... for 4.
  bool rotates(size_t layer) const {
    const size_t period = family->no_rope_period;
    return rope_dim != 0 && (period == 0 || layer % period != period - 1);
  }
};

// Errors are kBadFile: an unsupported architecture, a missing or impossible value. The vocabulary
// size is the row count of token_embd.weight.
[[nodiscard]] Result<ModelConfig> ReadModelConfig(const GgufFile& file);

}  // namespace lockstep
