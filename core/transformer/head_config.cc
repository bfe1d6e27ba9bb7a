// Models that were made to generate are used to encode, too, and only the pooling that a file names
// tells them from the others. Sizes are those of the tensors: the keys that repeat them are not
// read.
#include "core/transformer/head_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr size_t kMaxHeadDim = 1 << 18;

size_t Rows(const GgufFile& file, const char* name) {
  const GgufTensor* tensor = file.FindTensor(name);
  return tensor != nullptr ? tensor->rows() : 0;
}

// What encodes keeps no state of a text, and keys and values are those of the layer itself.
bool CanEncode(const ModelConfig& c) {
  if (c.family->latent || c.recurrent_count() != 0) return false;
  for (size_t i = 0; i < c.layers.size(); ++i) {
    if (c.layers[i].kv_layer != i) return false;
  }
  return true;
}

// The tokens "yes" and "no", if the vocabulary has them.
std::vector<int32_t> FindAnswers(const GgufFile& file, size_t vocab) {
  const auto tokens = file.GetStrings("tokenizer.ggml.tokens");
  std::vector<int32_t> ids;
  if (!tokens || *tokens == nullptr) return ids;
  for (const char* answer : {"yes", "no"}) {
    const auto found = std::ranges::find(**tokens, answer);
    const auto id = static_cast<size_t>(found - (*tokens)->begin());
    if (found == (*tokens)->end() || id >= vocab) return {};
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

// Rerankers that were converted as what they are built like, a model that generates, say only by
// their name what they are.
Pooling UnnamedPooling(const GgufFile& file, const ModelConfig& c) {
  if (c.family->encoder) {
    const bool scores = Rows(file, "cls.output.weight") != 0;
    return scores ? Pooling::kRank : Pooling::kNone;
  }
  std::string name = c.name;
  for (char& letter : name) letter = static_cast<char>(std::tolower(letter));
  return name.find("rerank") != name.npos ? Pooling::kRank : Pooling::kNone;
}

Status CheckLabels(const GgufFile& file, MetadataKeys& keys, size_t scores) {
  const char* const key = "classifier.output_labels";
  TRY(const auto* const labels, file.GetStrings(keys.Name(key)));
  if (labels == nullptr || labels->size() == scores) return {};
  keys.Fail(key, fmt::format("a list of {}", labels->size()),
            fmt::format("the head of the model makes {} scores", scores));
  return keys.status();
}

Status ReadActivation(MetadataKeys& keys, ModelConfig& c) {
  const char* const key = "classifier.activation";
  c.head.activation = c.family->scores_mean ? HeadActivation::kGeluErf : HeadActivation::kTanh;
  const auto name = keys.Text(key);
  if (name == "tanh") c.head.activation = HeadActivation::kTanh;
  if (name == "gelu") c.head.activation = HeadActivation::kGeluErf;
  if (name == "silu") c.head.activation = HeadActivation::kSilu;
  if (name && name != "tanh" && name != "gelu" && name != "silu") {
    keys.Fail(key, Quoted(*name), "lockstep runs \"tanh\", \"gelu\" and \"silu\" only");
  }
  return keys.status();
}

Status ReadScores(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  HeadConfig& head = c.head;
  const size_t hidden = Rows(file, "cls.weight"), last = Rows(file, "cls.output.weight");
  head.outputs = last != 0 ? last : hidden;
  if (last != 0) head.widest = std::max(head.widest, hidden);
  if (!c.family->encoder) {
    head.pooled = Pooling::kLast;
    head.probabilities = true;
    if (head.outputs == 0) head.answers = FindAnswers(file, c.vocab);
    if (!head.answers.empty()) head.outputs = head.answers.size();
  } else {
    // In GGUF's numbers of poolings 1 is the mean; what else a file says stands for the first row.
    const bool mean = keys.Size("classifier.pooling_type", 0, UINT32_MAX)
                          .value_or(c.family->scores_mean ? 1 : 0) == 1;
    head.pooled = mean ? Pooling::kMean : Pooling::kFirst;
  }
  // A matrix from rows to rows is the first one of two.
  if (head.outputs == 0 || (last == 0 && hidden == c.dim)) {
    return file.Fail(
        "the model scores pairs of texts (pooling_type 4), but tensor cls.output.weight is "
        "missing: convert the model anew");
  }
  TRY_OK(CheckLabels(file, keys, head.outputs));
  return ReadActivation(keys, c);
}

void ReadVector(const GgufFile& file, ModelConfig& c) {
  c.head.pooled = c.pooling;
  c.head.outputs = c.dim;
  for (const char* name :
       {c.family->projects_output ? "output.weight" : "", "dense_2.weight", "dense_3.weight"}) {
    const size_t rows = Rows(file, name);
    if (rows == 0) continue;
    c.head.outputs = rows;
    c.head.widest = std::max(c.head.widest, rows);
  }
}

}  // namespace

Status ReadHead(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  if (CanEncode(c)) {
    const auto pooling = keys.Size("pooling_type", 0, static_cast<size_t>(Pooling::kRank));
    c.pooling = pooling ? static_cast<Pooling>(*pooling) : UnnamedPooling(file, c);
  }
  const bool causal = keys.Flag("attention.causal").value_or(!c.family->encoder);
  if (!c.encodes()) {
    if (!causal) keys.Fail("attention.causal", "false", "lockstep generates, from left to right");
    return keys.status();
  }
  if (causal && c.family->encoder) {
    keys.Fail("attention.causal", "true", "models of this architecture attend both ways");
  }
  c.both_ways = !causal;
  c.head.widest = c.dim;
  if (c.scores_pairs()) {
    TRY_OK(ReadScores(file, keys, c));
  } else {
    ReadVector(file, c);
  }
  if (std::max(c.head.outputs, c.head.widest) > kMaxHeadDim) {
    return file.Fail(
        fmt::format("the model makes vectors of {} values of a text, but the limit is "
                    "{}",
                    std::max(c.head.outputs, c.head.widest), kMaxHeadDim));
  }
  return keys.status();
}

}  // namespace lockstep
