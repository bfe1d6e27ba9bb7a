// A small model of any family with random weights, norms and biases, as a GGUF file in memory. The
// same options give the same bytes on every platform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/kernels/layout.h"
#include "tests/support/gguf_builder.h"

namespace lockstep {

struct TinyModelOptions {
  uint64_t seed = 1;
  size_t dim = 64;
  size_t layers = 2;
  size_t heads = 4;
  size_t kv_heads = 2;
  size_t head_dim = 16;
  size_t ffn_dim = 96;
  size_t vocab = 320;  // at least 260: <unk>, <s>, </s>, 256 bytes, then pieces
  size_t context = 128;
  WeightType type = WeightType::kF32;  // of the matrices; its blocks must divide the dimensions
  bool tied = true;                    // no output.weight of its own, if the family may do without

  float gain = 1.5f;  // by which a layer's matrices lengthen a vector

  std::string architecture = "llama";
  size_t pooling = 1;        // of what encodes
  bool encodes = false;      // of a family that generates
  bool extra_norms = false;  // of encoders that may have them
  // What a pooled vector goes through: dense modules; or, where pairs are scored, a matrix for as
  // many scores, and one before it.
  std::vector<size_t> dense = {};
  size_t scores = 0;
  bool hidden_scores = false;
  size_t experts = 0, experts_used = 2;
  size_t rope_dim = 0;  // 0: head_dim
  double rope_base = 10000;
  size_t window = 0, window_period = 0;  // 0: the family's own
  float soft_cap = 0;                    // of attention; a quarter of it of the logits. 0: default
  bool scales = false;                   // of embedding, attention, residual stream and logits
  bool parallel = true;                  // where the family has both
  bool fused_qkv = false;
  bool may_biases = false;        // those that the family may have or not
  std::string rope_scaling = {};  // its type; empty: none
  float rope_factor = 0;          // 0: not in the file
  size_t original_context = 0;
  size_t skipped_layers = 0;   // after the others
  bool never_rotates = false;  // said by the file, where the family may
  // Of recurrent layers, where the family has them: all but the last of each period.
  size_t attention_period = 2;
  bool layer_flags = false;  // which they are is told layer by layer
  bool fused_delta = false;  // what goes into a delta net is one tensor
  size_t taps = 4, state_dim = 16, state_keys = 2, state_values = 4;
  bool no_state_norm = false;  // of families that may lack it
  bool rope_freqs = false;     // one factor for each pair, as of Llama 3
  bool long_factors = false;   // two, as of Phi 3
  float log_multiplier = 0;    // of YaRN; 0: not in the file, as are the others

  // Layers with a window, by layer; the others then have half the key/value heads, and the last
  // `shared_kv` layers, which read keys and values of others, twice the feed-forward length.
  std::vector<bool> windows = {};
  size_t window_head_dim = 0;  // of families that have it
  size_t shared_kv = 0;
  size_t value_dim = 0;        // 0: head_dim
  size_t layer_input_dim = 0;  // of families that have it
  std::vector<size_t> sections = {};

  // Latent attention; head_dim is then that of a head before the absorption.
  size_t kv_rank = 0, query_rank = 0;
  bool fused_kv_up = false;  // attn_kv_b, as in old files
  float temperature = 0;     // of queries
  size_t temperature_length = 0;

  size_t dense_layers = 0, expert_step = 0;  // which layers have experts
  size_t dense_ffn_dim = 0;                  // of the layers before; 0: ffn_dim
  size_t shared_ffn_dim = 0;                 // of the expert for every token
  size_t groups = 0, groups_used = 0, gating = 0;
  bool normalize = false;  // in the file, as true
  float expert_scale = 0;
  bool fused_experts = false;
  bool matrix_scales = false;  // one for each matrix
};

// Every family and every kind of layer and of RoPE scaling that there is, by the name of a model
// of the kind. Sizes are the smallest that show it.
struct TinyFamily {
  const char* name;
  TinyModelOptions options;
};
std::vector<TinyFamily> TinyFamilies();
// The same of models that make vectors of texts, with each kind of pooling and of head, or scores.
std::vector<TinyFamily> TinyEncoders();
// The most common one, with all that its files may have.
TinyModelOptions TinyBert();

GgufBuilder TinyModelBuilder(const TinyModelOptions& options = {});
std::vector<uint8_t> TinyModel(const TinyModelOptions& options = {});

}  // namespace lockstep
