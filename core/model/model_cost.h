// What a step of a model costs at least: the weights that it reads, and the products that it takes
// with them. Bounds of what any program reaches with the file on a machine, and the estimates that
// people get before they load it. From the file's tensors alone, whose data are not read.
#pragma once

#include <cstddef>

#include "core/gguf/gguf_file.h"
#include "core/transformer/model_config.h"

namespace lockstep {

struct StepCost {
  double bytes = 0;                  // of weights, each read once
  double integer = 0, floating = 0;  // multiply-adds with quantized and with float weights
};

class ModelCost {
 public:
  ModelCost(const GgufFile& file, const ModelConfig& config);

  // A step of `rows` tokens, of which `heads` need logits. Which experts a token takes is another
  // choice for each token and layer, as good as random: n tokens read 1 - (1 - used / all)^n of
  // them.
  StepCost Of(size_t rows, size_t heads) const;
  // All, and those that a token's products are taken with.
  double parameters() const { return parameters_; }
  double active_parameters() const;

 private:
  StepCost layers_, experts_, head_;  // of one row, with all experts
  double expert_share_ = 0;           // that a token takes
  double parameters_ = 0;
};

}  // namespace lockstep
