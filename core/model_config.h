// The dimensions of a llama-architecture model, read from GGUF metadata and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/gguf.h"
#include "core/status.h"

namespace lockstep {

struct ModelConfig {
  std::string architecture;  // "llama"
  std::string name;          // general.name, or the architecture
  size_t dim = 0;            // embedding length
  size_t layers = 0;
  size_t heads = 0;
  size_t kv_heads = 0;  // divides heads
  size_t head_dim = 0;
  size_t rope_dim = 0;  // even, <= head_dim: the first rope_dim values of a head are rotated
  size_t ffn_dim = 0;
  size_t vocab = 0;
  size_t context = 0;  // longest sequence that the model was made for
  double rope_base = 10000.0;
  float norm_eps = 1e-5f;

  size_t q_dim() const { return heads * head_dim; }
  size_t kv_dim() const { return kv_heads * head_dim; }
};

// Errors are kBadFile: an unsupported architecture, a missing or impossible value. The vocabulary
// size is the row count of token_embd.weight.
[[nodiscard]] Result<ModelConfig> ReadModelConfig(const GgufFile& file);

}  // namespace lockstep
