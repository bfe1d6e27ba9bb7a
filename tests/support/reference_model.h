// The forward pass in double precision, straight from a GGUF file's tensors: no cache, no
// repacking, no quantized activations, nothing shared with core/ but the parser and what it reads
// of the metadata. What the fast path is measured against.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/gguf/gguf_file.h"
#include "core/transformer/model_config.h"

namespace lockstep {

class ReferenceModel {
 public:
  using Row = std::vector<double>;
  using Rows = std::vector<Row>;

  ReferenceModel(const GgufFile& file, const ModelConfig& config);

  // An encoder's vector of a text, of length 1, or the scores of a pair; from `second` on tokens
  // are of the second type.
  Row Encode(std::span<const int32_t> tokens, size_t second = SIZE_MAX) const;
  // Logits after every token: [tokens.size()][vocab].
  Rows Forward(std::span<const int32_t> tokens) const;
  // Logits of the block behind the layers that guesses ahead, after every token but the first:
  // [tokens.size() - 1][vocab]. The last `own` tokens are its guesses: it reads them with hidden
  // states of its own.
  Rows GuessAhead(std::span<const int32_t> tokens, size_t own = 0) const;

 private:
  struct Matrix {
    size_t rows = 0, cols = 0;
    Row values;  // [rows][cols]
    Row bias;    // [rows], or empty; of a tensor of three dimensions as of one matrix
    Rows Times(const Rows& x) const;
    Matrix Part(size_t first, size_t count) const;  // some of the rows
  };
  struct FeedForward {
    Matrix gate, up, down;
  };
  struct Layer {
    Matrix attn_stream_norm, attn_second_norm, ffn_stream_norm;
    Matrix attn_norm, q, k, v, q_norm, k_norm, o, attn_post_norm, sinks;
    Matrix q_down, q_down_norm, kv_down, kv_down_norm;  // latent attention
    std::vector<Matrix> key_up, value_up;               // [heads]
    Matrix ffn_norm, ffn_post_norm;
    FeedForward dense;  // or the one beside experts
    Matrix router, router_scale, choice_bias, shared_gate;
    Matrix expert_norm, expert_post_norm, dense_post_norm;
    std::vector<FeedForward> experts;
    Matrix in, gate, alpha, beta, taps, dt, a, skip, norm, out;  // of a recurrent layer
    Matrix input_gate, input_project, input_norm, output_scale;
  };
  struct KeysAndValues {
    Rows keys, values;
  };

  // What the last layer leaves of each token.
  Rows Layers(std::span<const int32_t> tokens, size_t second = SIZE_MAX) const;
  // What a layer makes of the stream.
  void PassLayer(size_t i, const Rows& input, std::vector<KeysAndValues>& kv, Rows& x) const;
  Rows Score(const Rows& pooled) const;
  // With its bias and its scale; empty if it is not there. A few names have no ".weight".
  Matrix Load(const std::string& name) const;
  Layer LoadLayer(size_t layer) const;
  void LoadExperts(const std::string& prefix, Layer& w) const;
  void LoadRecurrent(const std::string& prefix, Layer& w) const;
  void LoadLatent(const std::string& prefix, size_t layer, Layer& w) const;
  Rows Norm(const Matrix& norm, const Rows& x) const;  // x where there is none
  Rows PlainNorm(const Rows& x) const;                 // without weights
  void NormHeads(const Matrix& norm, Rows& x) const;
  // Rotates the values from `from` of each head of `size`.
  void Rotate(size_t layer, size_t size, size_t from, Rows& x) const;
  void ScaleQueries(Rows& q) const;
  // What each position of q takes from the values up to it, or from the last ones.
  Rows Attend(size_t layer, const Rows& q, const KeysAndValues& kv, const HeadShape& head,
              size_t kv_heads) const;
  Rows Attention(size_t layer, const Rows& x, std::vector<KeysAndValues>& kv) const;
  Rows LatentAttention(size_t layer, const Rows& x) const;
  Rows TakeGates(size_t head_dim, Rows& q) const;  // none where attention is not gated
  static Rows Gated(const Rows& gates, Rows attended);
  // What a layer adds that mixes positions; empty rows where nothing does.
  Rows MixPositions(size_t layer, const Rows& x, std::vector<KeysAndValues>& kv) const;
  Rows Recur(const Layer& w, const Rows& x) const;
  Rows DeltaNet(const Layer& w, const Rows& x) const;
  Rows ShortConvolution(const Layer& w, const Rows& x) const;
  Rows Mamba2(const Layer& w, const Rows& x) const;
  Rows Expand(const FeedForward& w, const Rows& x) const;
  std::vector<std::pair<size_t, double>> Choose(const Layer& w, const Row& scores) const;
  Rows Mix(const Layer& w, const Rows& x) const;
  std::vector<Rows> LayerInputs(std::span<const int32_t> tokens, const Rows& x) const;
  void AddLayerInput(const Layer& w, const Rows& input, Rows& x) const;

  const GgufFile& file_;
  ModelConfig config_;
  Matrix token_types_, embedding_norm_;
  Matrix embedding_, positions_, output_norm_, output_;
  Matrix layer_embedding_, layer_project_, layer_project_norm_;
  Row rope_factors_;
  std::vector<Layer> layers_;
};

}  // namespace lockstep
