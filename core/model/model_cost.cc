// A matrix is what has rows and columns, is named a weight and is multiplied with: the tables that
// a token's number looks up are none, but for one that is the head as well. Attention, recurrences
// and what is done to single values are left out, so that costs are bounds from below.
#include "core/model/model_cost.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace lockstep {
namespace {

constexpr std::string_view kTable = "token_embd.weight", kHead = "output.weight";
constexpr std::string_view kOtherTables[] = {"position_embd.weight", "token_types.weight",
                                             "per_layer_token_embd.weight"};

// "blk.17.ffn_up.weight" -> 17; 0 for what is of no block.
size_t BlockOf(std::string_view name) {
  constexpr std::string_view kBlock = "blk.";
  size_t block = 0;
  if (name.starts_with(kBlock)) {
    std::from_chars(name.data() + kBlock.size(), name.data() + name.size(), block);
  }
  return block;
}

bool IsMatrix(const GgufTensor& tensor) {
  return tensor.dims.size() >= 2 && tensor.name.ends_with(".weight") && tensor.type->weight;
}

bool IsFloat(const GgufTensor& tensor) { return tensor.type->block_elements == 1; }

}  // namespace

ModelCost::ModelCost(const GgufFile& file, const ModelConfig& config) {
  const MixtureConfig& mixture = config.mixture;
  if (mixture.experts > 0) {
    expert_share_ = static_cast<double>(mixture.used) / static_cast<double>(mixture.experts);
  }
  const bool tied = file.FindTensor(kHead) == nullptr && !config.encodes();
  for (const GgufTensor& tensor : file.tensors()) {
    // Those that guess further ahead take part in no step of the model's own.
    if (BlockOf(tensor.name) >= config.layers.size()) continue;
    const double elements = static_cast<double>(tensor.rows()) * static_cast<double>(tensor.cols());
    parameters_ += elements;
    if (!IsMatrix(tensor)) continue;
    const bool table = tensor.name == kTable;
    if ((table && !tied) || std::ranges::find(kOtherTables, tensor.name) != std::end(kOtherTables))
      continue;
    StepCost& part = table || tensor.name == kHead                          ? head_
                     : tensor.name.find("_exps.") != std::string_view::npos ? experts_
                                                                            : layers_;
    part.bytes += static_cast<double>(tensor.data.size());
    (IsFloat(tensor) ? part.floating : part.integer) += elements;
  }
}

StepCost ModelCost::Of(size_t rows, size_t heads) const {
  const auto n = static_cast<double>(rows);
  const double read = 1 - std::pow(1 - expert_share_, n);
  StepCost cost;
  cost.bytes = layers_.bytes + read * experts_.bytes + (heads > 0 ? head_.bytes : 0);
  const auto add = [&cost](const StepCost& part, double times) {
    cost.integer += times * part.integer;
    cost.floating += times * part.floating;
  };
  add(layers_, n);
  add(experts_, n * expert_share_);
  add(head_, static_cast<double>(heads));
  return cost;
}

double ModelCost::active_parameters() const {
  const StepCost one = Of(1, 1);
  return one.integer + one.floating;
}

}  // namespace lockstep
