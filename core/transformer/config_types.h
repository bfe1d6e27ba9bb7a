// What is known of a model before its weights: sizes and settings. Plain data; model_config.h reads
// it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/transformer/architectures.h"
#include "core/transformer/rope.h"

namespace lockstep {

// What layers of a model may differ in.
struct LayerConfig {
  bool recurrent = false;  // has a state, in place of attention or beside it
  size_t heads = 0;
  size_t kv_heads = 0;  // divides heads; 0: the layer does not attend
  HeadShape head;
  size_t rope_dim = 0;   // even, <= head.key: as many values of a head are rotated; may be 0
  bool window = false;   // sees the last positions only
  size_t kv_layer = 0;   // the layer whose keys and values it reads: itself, or an earlier one
  size_t ffn_dim = 0;    // of the dense network, or beside experts of the shared one; 0: none
  bool experts = false;  // has a mixture of experts

  // Most layers have both of these, and others one.
  bool attends() const { return kv_heads != 0; }
  bool feeds_forward() const { return ffn_dim != 0 || experts; }
  size_t q_dim() const { return heads * head.key; }
  size_t k_dim() const { return kv_heads * head.key; }
  size_t v_dim() const { return kv_heads * head.value; }
  size_t attended_dim() const { return heads * head.value; }
};

// Latent attention (DeepSeek-V2, 2024): a key is a vector of `rank` values, which every head reads
// in its own way, and `rope` values that are rotated; the value vector is the former.
struct LatentConfig {
  size_t rank = 0;        // 0: the model has none
  size_t query_rank = 0;  // of the vector that queries are made from; 0: none
  size_t plain = 0, rope = 0,
         value = 0;  // values of a head's query in two parts, and of its output
};

// A mixture of experts, and how a token's are chosen.
struct MixtureConfig {
  size_t experts = 0;  // 0: the model has none
  size_t used = 0;     // by each token
  size_t ffn_dim = 0;  // of an expert
  Gating gating = Gating::kSoftmax;
  size_t groups = 1, groups_used = 1;  // only the best groups of experts are chosen from
  bool normalize = true;               // the weights of those used add up to 1
  float scale = 1;                     // of all their weights
};

inline constexpr size_t kMaxTaps = 16;  // published: 3 and 4

// The sizes of a recurrent layer. Its input goes through a convolution over time, which sees the
// last `taps` positions of each channel. That is all of a short convolution; a delta net and
// Mamba-2 keep a matrix for each value head, too, with a column of head_dim values for each of its
// keys.
struct RecurrenceSizes {
  size_t taps = 0;
  size_t channels = 0;  // the queries, keys and values of what has matrices
  size_t inner = 0;     // values that go out: those of all value heads, or the channels
  size_t key_heads = 0, value_heads = 0;
  size_t head_dim = 0;    // values of a value head
  size_t keys = 0;        // of a value head's matrix: the size of a key
  bool adjacent = false;  // the value heads of a key head are side by side

  size_t key_dim() const { return key_heads * keys; }
  size_t window_floats() const { return (taps - 1) * channels; }
  size_t matrix_floats() const { return value_heads * head_dim * keys; }
  // Otherwise the value heads are dealt out to the key heads in turn.
  size_t key_head(size_t value_head) const {
    return adjacent ? value_head / (value_heads / key_heads) : value_head % key_heads;
  }
};

// What a text's rows become: one vector, or with kRank scores. In GGUF's order, from 0.
enum class Pooling { kNone, kMean, kFirst, kLast, kRank };

// What the vector that was pooled goes through, where the model has it: matrices, or what scores a
// pair of texts.
struct HeadConfig {
  Pooling pooled = Pooling::kNone;  // kMean, kFirst or kLast: what goes in, of scores too
  size_t outputs = 0;               // values of a text's vector, or scores of a pair
  size_t widest = 0;  // values of the widest vector on the way, the first one included
  HeadActivation activation = HeadActivation::kTanh;  // of a score's hidden values
  // Scores become the probabilities of labels, the first of which is "yes".
  bool probabilities = false;
  // The tokens "yes" and "no", the logits of which are scores, in the place of a matrix for them.
  std::vector<int32_t> answers;
};

struct ModelConfig {
  const Architecture* family = nullptr;
  std::string architecture;  // the family's name
  std::string name;          // general.name, cleaned and cut, or the architecture
  size_t dim = 0;            // embedding length
  std::vector<LayerConfig> layers;
  size_t skipped_layers = 0;  // in the file after these: they guess further tokens ahead (MTP)
  bool mtp = false;           // this is one of those (MtpConfig)
  LatentConfig latent;
  MixtureConfig mixture;
  RecurrenceSizes recurrence;  // of all recurrent layers
  size_t layer_input_dim = 0;  // of the embedding that each layer has of its own; 0: none
  size_t vocab = 0;
  size_t context = 0;  // longest sequence that the model was made for
  float norm_eps = 1e-5f;

  size_t rope_dim = 0;  // of the layers without a window, where they rotate
  RopeConfig rope;
  size_t window = 0;           // positions that layers with a sliding window see; 0: none has one
  size_t window_rope_dim = 0;  // rope_dim and rope of the layers with a window
  RopeConfig window_rope;
  // Queries are multiplied by 1 + query_slope * ln(1 + floor(position / query_length)).
  double query_slope = 0, query_length = 1;

  float attention_scale = 0;     // of the scores; 0: 1 / sqrt(the size of a key)
  float attention_soft_cap = 0;  // 0: none
  float logit_soft_cap = 0;      // 0: none
  float logit_scale = 1;
  float embedding_scale = 1;
  float residual_scale = 1;        // of what attention and feed-forward add
  bool parallel_residual = false;  // both add to the same input

  Activation activation = Activation::kSilu;  // of feed-forward networks

  Pooling pooling = Pooling::kNone;  // of a model that encodes, if its file says
  bool both_ways = false;            // tokens attend to what follows them in their text, too
  HeadConfig head;

  // Whether texts become vectors or scores (Transformer::Encode); else they are continued.
  bool encodes() const { return family->encoder || pooling != Pooling::kNone; }
  // Whether what comes out for a text are the scores of a pair. Then the first one is how well the
  // second text answers the first: a logit, or of a decoder the probability of "yes".
  bool scores_pairs() const { return pooling == Pooling::kRank; }
  // Values that come out for a token, or for a text.
  size_t outputs() const { return encodes() ? head.outputs : vocab; }
  size_t layers_in_file() const { return layers.size() + skipped_layers; }
  size_t recurrent_count() const {
    return static_cast<size_t>(std::ranges::count(layers, true, &LayerConfig::recurrent));
  }
  // The largest of all layers.
  size_t Largest(size_t (LayerConfig::*of)() const) const {
    size_t largest = 0;
    for (const LayerConfig& layer : layers) largest = std::max(largest, (layer.*of)());
    return largest;
  }
  size_t LargestFfn() const {  // of experts, too
    size_t largest = mixture.ffn_dim;
    for (const LayerConfig& layer : layers) largest = std::max(largest, layer.ffn_dim);
    return largest;
  }
};

}  // namespace lockstep
