// Helper of compare_error: how far an engine's logits are from those of a float64 evaluation of the
// same file, as the Kullback-Leibler divergence of their distributions, in nats per token.
//
//   logit_error random OUT.gguf                          writes a model with random F32 weights
//   logit_error tokens MODEL TEXT WINDOW COUNT OUT       COUNT windows of int32 ids, from a text
//   logit_error tokens MODEL - WINDOW COUNT OUT          the same, drawn at random
//   logit_error compare MODEL TOKENS WINDOW PEER         prints "lockstep MEAN" and "peer MEAN"
//
// Each window starts with BOS and is evaluated on its own. PEER holds the peer's logits, float32
// [tokens][vocab]. Where lockstep does not read the model, it says why instead of a number.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/gguf/mapped_file.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/model/model.h"
#include "tests/peers/command.h"
#include "tests/support/random.h"
#include "tests/support/reference_model.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

// 13 million weights; every row is a whole number of 256-value blocks.
void WriteRandomModel(const std::string& path) {
  const TinyModelOptions options = {.dim = 256,
                                    .layers = 6,
                                    .heads = 8,
                                    .kv_heads = 4,
                                    .head_dim = 32,
                                    .ffn_dim = 768,
                                    .vocab = 32000,
                                    .context = 512};
  WriteFile(path, TinyModel(options));
}

void WriteTokens(const GgufFile& file, const std::string& text_path, size_t window, size_t count,
                 const std::string& out) {
  const Tokenizer tokenizer = Need(Tokenizer::Create(file));
  std::vector<int32_t> source;
  if (text_path == "-") {
    Random random(11);
    for (size_t i = 0; i < window * count; ++i) {
      source.push_back(static_cast<int32_t>(random.Below(tokenizer.vocab_size())));
    }
  } else {
    const MappedFile text = Need(MappedFile::Open(text_path));
    const auto* bytes = reinterpret_cast<const char*>(text.bytes().data());
    source = tokenizer.Encode(std::string_view(bytes, text.bytes().size()), false);
  }
  if (source.size() < (window - 1) * count) {
    throw std::runtime_error(fmt::format("{}: {} tokens do not fill {} windows of {}", text_path,
                                         source.size(), count, window));
  }
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) {
    ids.push_back(tokenizer.bos());
    const auto from = source.begin() + static_cast<ptrdiff_t>(i * (window - 1));
    ids.insert(ids.end(), from, from + static_cast<ptrdiff_t>(window - 1));
  }
  WriteFile(out, ids);
}

template <class Row>
std::vector<double> LogProbabilities(const Row& logits) {
  std::vector<double> out(logits.begin(), logits.end());
  const double largest = *std::max_element(out.begin(), out.end());
  double sum = 0;
  for (const double v : out) sum += std::exp(v - largest);
  for (double& v : out) v -= largest + std::log(sum);
  return out;
}

double Divergence(const std::vector<double>& log_p, const std::vector<double>& log_q) {
  double sum = 0;
  for (size_t i = 0; i < log_p.size(); ++i) sum += std::exp(log_p[i]) * (log_p[i] - log_q[i]);
  return sum;
}

// Logits of one window, from an empty cache. [window.size()] rows in scratch.
void Evaluate(const Model& model, std::span<const int32_t> window, Scratch& scratch,
              ThreadPool& pool) {
  KvCache kv = Need(KvCache::Create(model.config(), window.size()));
  const BatchEntry entry = {&kv, window, LogitRows::kAll};
  if (const Status ok = model.transformer.Forward({&entry, 1}, scratch, pool); !ok) {
    throw std::runtime_error(ok.error().message);
  }
}

void Compare(const MappedFile& mapped, const GgufFile& file, const std::string& tokens_path,
             size_t window, const std::string& peer_path) {
  const ModelConfig config = Need(ReadModelConfig(file));
  const MappedFile tokens_file = Need(MappedFile::Open(tokens_path));
  std::vector<int32_t> tokens(tokens_file.bytes().size() / sizeof(int32_t));
  std::memcpy(tokens.data(), tokens_file.bytes().data(), tokens.size() * sizeof(int32_t));
  const MappedFile peer = Need(MappedFile::Open(peer_path));
  if (peer.bytes().size() != tokens.size() * config.vocab * sizeof(float)) {
    throw std::runtime_error(peer_path + ": not the logits of these tokens");
  }
  const auto* peer_logits = reinterpret_cast<const float*>(peer.bytes().data());

  SetComputeFloatMode();
  ThreadPool pool(2);
  const KernelTable& kernels = *ChooseKernels("auto").kernels;
  const auto model = LoadModel(mapped.bytes(), file.name(), kernels, pool);
  const ReferenceModel reference(file, config);
  Scratch scratch(config, window, window, pool.threads());
  double ours = 0, theirs = 0;
  for (size_t at = 0; at < tokens.size(); at += window) {
    const auto ids = std::span(tokens).subspan(at, window);
    const auto exact = reference.Forward(ids);
    if (model) Evaluate(**model, ids, scratch, pool);
    for (size_t i = 0; i < ids.size(); ++i) {
      const std::vector<double> log_p = LogProbabilities(exact[i]);
      const std::span<const float> row(peer_logits + (at + i) * config.vocab, config.vocab);
      theirs += Divergence(log_p, LogProbabilities(row));
      if (model) ours += Divergence(log_p, LogProbabilities(scratch.logits(i)));
    }
  }
  const auto n = static_cast<double>(tokens.size());
  fmt::print("lockstep {}\n", model ? fmt::format("{:.3e}", ours / n) : model.error().message);
  fmt::print("peer {:.3e}\n", theirs / n);
}

void Run(const std::vector<std::string>& arguments) {
  const std::string& command = arguments.at(1);
  if (command == "random") {
    WriteRandomModel(arguments.at(2));
    return;
  }
  const MappedFile mapped = Need(MappedFile::Open(arguments.at(2)));
  const GgufFile file = Need(GgufFile::Parse(mapped.bytes(), arguments.at(2)));
  if (command == "tokens") {
    WriteTokens(file, arguments.at(3), std::stoul(arguments.at(4)), std::stoul(arguments.at(5)),
                arguments.at(6));
    return;
  }
  if (command != "compare") throw std::runtime_error(command + ": no such command");
  Compare(mapped, file, arguments.at(3), std::stoul(arguments.at(4)), arguments.at(5));
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  return lockstep::RunCommand("logit_error", argc, argv, lockstep::Run);
}
