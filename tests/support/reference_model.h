// The llama forward pass in double precision, straight from a GGUF file's tensors: no cache, no
// repacking, no quantised activations, nothing shared with core/ but the parser. What the fast
// path is measured against.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/gguf.h"
#include "core/model_config.h"

namespace lockstep {

class ReferenceModel {
 public:
  using Rows = std::vector<std::vector<double>>;

  ReferenceModel(const GgufFile& file, const ModelConfig& config);

  // Logits after every token: [tokens.size()][vocab].
  Rows Forward(std::span<const int32_t> tokens) const;

 private:
  struct Matrix {
    size_t rows = 0, cols = 0;
    std::vector<double> values;  // [rows][cols]
    Rows Times(const Rows& x) const;
  };
  struct Layer {
    Matrix attn_norm, q, k, v, o, ffn_norm, gate, up, down;
  };
  Rows Attend(const Rows& q, const Rows& keys, const Rows& values) const;
  static Matrix Load(const GgufFile& file, const std::string& name);

  ModelConfig config_;
  Matrix embedding_, output_norm_, output_;
  std::vector<Layer> layers_;
};

}  // namespace lockstep
