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

  // Logits after every token: [tokens.size()][vocab].
  Rows Forward(std::span<const int32_t> tokens) const;

 private:
  struct Matrix {
    size_t rows = 0, cols = 0;
    Row values;  // [rows][cols]
    Row bias;    // [rows], or empty
    Rows Times(const Rows& x) const;
    Matrix Part(size_t first, size_t count) const;  // some of the rows
  };
  struct FeedForward {
    Matrix gate, up, down;
  };
  struct Layer {
    Matrix attn_norm, q, k, v, q_norm, k_norm, o, attn_post_norm;
    Matrix ffn_norm, router, ffn_post_norm;
    std::vector<FeedForward> ffn;
  };

  Matrix Load(const std::string& name) const;  // with its bias; empty if it is not there
  Layer LoadLayer(const std::string& prefix) const;
  Rows Norm(const Matrix& norm, const Rows& x) const;  // x where there is none
  void NormHeads(const Matrix& norm, Rows& x) const;
  void Rotate(size_t layer, Rows& x) const;
  Rows Attend(size_t layer, const Rows& q, const Rows& keys, const Rows& values) const;
  Rows Attention(size_t layer, const Rows& x) const;
  Rows Expand(const FeedForward& w, const Rows& x) const;
  Rows Mix(const Layer& w, const Rows& x) const;

  const GgufFile& file_;
  ModelConfig config_;
  Matrix embedding_, positions_, output_norm_, output_;
  Row rope_factors_;
  std::vector<Layer> layers_;
};

}  // namespace lockstep
