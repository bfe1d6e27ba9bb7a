// Files have a head for one of two uses, and some have both: that which the file's pooling does not
// ask for is left where it is.
#include "core/transformer/head_weights.h"

#include <string>

namespace lockstep {
namespace {

constexpr auto kMay = Presence::kMay;

// A matrix of as many columns as what goes in has values; returns what comes out.
size_t Load(TensorReader& tensors, const std::string& name, size_t cols, Linear& out) {
  const GgufTensor* tensor = tensors.Peek(name + ".weight");
  const size_t rows = tensor != nullptr ? tensor->rows() : 0;
  tensors.LoadLinear(name, rows, cols, kMay, out);
  return rows;
}

void LoadScores(TensorReader& tensors, const ModelConfig& c, HeadWeights& out) {
  // Without a second matrix, the first one has the scores.
  const bool last = tensors.Has("cls.output.weight");
  size_t n = c.dim;
  if (last && tensors.Has("cls.weight")) {
    n = Load(tensors, "cls", n, out.hidden);
    if (tensors.Has("cls.norm.weight")) tensors.LoadNorm("cls.norm", n, *c.family, out.norm);
  }
  if (c.head.answers.empty()) Load(tensors, last ? "cls.output" : "cls", n, out.output);
}

}  // namespace

void LoadHead(TensorReader& tensors, const ModelConfig& c, HeadWeights& out) {
  if (c.scores_pairs()) {
    LoadScores(tensors, c, out);
    for (const char* name : {"dense_2", "dense_3"}) tensors.SkipAll(std::string(name) + ".");
    return;
  }
  size_t n = c.dim;
  for (const char* name : {c.family->projects_output ? "output" : "", "dense_2", "dense_3"}) {
    if (*name == '\0' || !tensors.Has(std::string(name) + ".weight")) continue;
    n = Load(tensors, name, n, out.dense.emplace_back());
  }
  tensors.SkipAll("cls.");
}

}  // namespace lockstep
