// Helper of compare_architectures.
//
//   family_logits list                         prints the names of the families
//   family_logits make NAME OUT COUNT TOKENS   writes a model with random F16 weights, and ids
//   family_logits compare MODEL TOKENS PEER EXACT
//
// compare prints five numbers: the mean absolute difference of our logits to PEER's, and of PEER's
// to EXACT's; at how many positions our largest logit is another token's than PEER's; the widest
// margin of these in PEER's logits; and at how many of them the margin is more than twice the
// largest difference of PEER and EXACT at the position.
// PEER and EXACT hold float32 [tokens][vocab]; TOKENS int32.
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
#include "core/transformer/model_config.h"
#include "core/transformer/transformer.h"
#include "tests/peers/command.h"
#include "tests/support/random.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

template <class T>
std::vector<T> Read(const std::string& path) {
  const MappedFile file = Need(MappedFile::Open(path));
  std::vector<T> values(file.bytes().size() / sizeof(T));
  std::memcpy(values.data(), file.bytes().data(), values.size() * sizeof(T));
  return values;
}

// Large enough for every quantized type: rows are whole blocks of 256.
void Make(const std::string& name, const std::string& out, size_t count,
          const std::string& tokens_out) {
  for (auto [family, options] : TinyFamilies()) {
    if (family != name) continue;
    options.type = WeightType::kF16;
    options.dim *= 4, options.head_dim *= 4, options.rope_dim *= 4;
    for (size_t* size :
         {&options.window_head_dim, &options.value_dim, &options.layer_input_dim, &options.kv_rank,
          &options.query_rank, &options.shared_ffn_dim, &options.dense_ffn_dim}) {
      *size *= 8;
    }
    if (!options.sections.empty()) {
      // In the peer, pairs of the lowest frequencies do not turn where the first three streams have
      // too few of them.
      const size_t pairs = options.head_dim / 2, third = pairs / 3;
      options.sections = {pairs - 2 * third, third, third, 0};
    }
    options.ffn_dim = 512;
    options.gain = 1;  // so that layers do not add to the differences of those before
    if (options.windows.empty() && options.layers < 64) options.layers *= 2;
    options.window *= 5;
    if (options.original_context < count) options.original_context *= 4;
    options.vocab = 2048;
    options.context = count;
    WriteFile(out, TinyModel(options));
    Random random(11);
    std::vector<int32_t> tokens(count);
    for (int32_t& token : tokens) token = static_cast<int32_t>(random.Below(options.vocab));
    WriteFile(tokens_out, tokens);
    return;
  }
  throw std::runtime_error(name + ": no such family");
}

void Compare(const std::string& path, const std::string& tokens_path, const std::string& peer_path,
             const std::string& exact_path) {
  const MappedFile mapped = Need(MappedFile::Open(path));
  const GgufFile file = Need(GgufFile::Parse(mapped.bytes(), path));
  const ModelConfig config = Need(ReadModelConfig(file));
  const auto tokens = Read<int32_t>(tokens_path);
  const auto peer = Read<float>(peer_path), exact = Read<float>(exact_path);
  if (peer.size() != tokens.size() * config.vocab || peer.size() != exact.size()) {
    throw std::runtime_error(peer_path + ": not the logits of these tokens");
  }
  SetComputeFloatMode();
  ThreadPool pool(2);
  const Transformer transformer(config, Need(LoadWeights(file, config, pool)),
                                *ChooseKernels("auto").kernels);
  Scratch scratch(config, tokens.size(), tokens.size(), pool.threads());
  KvCache kv = Need(KvCache::Create(config, tokens.size()));
  const BatchEntry entry = {&kv, tokens, LogitRows::kAll};
  if (const Status ok = transformer.Forward({&entry, 1}, scratch, pool); !ok) {
    throw std::runtime_error(ok.error().message);
  }
  double ours = 0, own = 0, margin = 0;
  size_t others = 0, beyond = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const std::span<const float> mine = scratch.logits(t);
    const std::span<const float> theirs(peer.data() + t * config.vocab, config.vocab);
    const std::span<const float> right(exact.data() + t * config.vocab, config.vocab);
    double largest = 0;
    for (size_t v = 0; v < config.vocab; ++v) {
      const double difference = std::fabs(double{right[v]} - theirs[v]);
      largest = std::max(largest, difference);
      own += difference;
      ours += std::fabs(double{mine[v]} - theirs[v]);
    }
    const auto top = [](std::span<const float> row) {
      return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    };
    if (top(mine) == top(theirs)) continue;
    ++others;
    const double between = double{theirs[top(theirs)]} - theirs[top(mine)];
    margin = std::max(margin, between);
    if (between > 2 * largest) ++beyond;
  }
  const auto n = static_cast<double>(peer.size());
  fmt::print("{:.2e} {:.2e} {} {:.2e} {}\n", ours / n, own / n, others, margin, beyond);
}

void Run(const std::vector<std::string>& arguments) {
  const std::string& command = arguments.at(1);
  if (command == "list") {
    for (const TinyFamily& family : TinyFamilies()) fmt::print("{}\n", family.name);
  } else if (command == "make") {
    Make(arguments.at(2), arguments.at(3), std::stoul(arguments.at(4)), arguments.at(5));
  } else if (command == "compare") {
    Compare(arguments.at(2), arguments.at(3), arguments.at(4), arguments.at(5));
  } else {
    throw std::runtime_error(command + ": no such command");
  }
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  return lockstep::RunCommand("family_logits", argc, argv, lockstep::Run);
}
