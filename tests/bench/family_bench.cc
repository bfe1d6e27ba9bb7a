// What a family costs beside llama: processor time of prefill and of decode behind 128 tokens, for
// a billion parameters that a token is multiplied with. Widths are those of llama-3.2-1b,
// qwen3-1.7b and gemma3-1b, layers so many that each has about 250 million random Q4_0 parameters,
// which no cache holds. One thread, so that it is the processor's time that counts and not the
// machine's other work.
//
//   cmake --build build/release --target family_bench && build/release/family_bench
//     --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/transformer/model_config.h"
#include "core/transformer/transformer.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

constexpr size_t kPrompt = 512, kDepth = 128;

TinyModelOptions Shape(const std::string& family) {
  for (auto [name, options] : TinyFamilies()) {
    if (family != name) continue;
    options.type = WeightType::kQ4_0;
    options.vocab = 8192, options.context = 1024;
    options.rope_dim = 0, options.rope_freqs = false;
    if (family == "llama3") {
      options.dim = 2048, options.layers = 4, options.ffn_dim = 8192;
      options.heads = 32, options.kv_heads = 8, options.head_dim = 64;
    } else if (family == "qwen3") {
      options.dim = 2048, options.layers = 5, options.ffn_dim = 6144;
      options.heads = 16, options.kv_heads = 8, options.head_dim = 128;
    } else {
      options.dim = 1152, options.layers = 9, options.ffn_dim = 6912;
      options.heads = 4, options.kv_heads = 1, options.head_dim = 256;
      options.window = 512, options.window_period = 6;
    }
    return options;
  }
  std::abort();
}

struct Bench {
  explicit Bench(const std::string& family) {
    SetComputeFloatMode();
    const std::vector<uint8_t> bytes = TinyModel(Shape(family));
    const GgufFile file = GgufFile::Parse(bytes, family).value();
    const ModelConfig config = ReadModelConfig(file).value();
    for (const GgufTensor& tensor : file.tensors()) {
      if (tensor.dims.size() > 1) parameters += static_cast<double>(tensor.rows() * tensor.cols());
    }
    transformer.emplace(config, LoadWeights(file, config, pool).value(),
                        *ChooseKernels("auto").kernels);
    scratch.emplace(config, kPrompt, 1, 1);
    kv.emplace(KvCache::Create(config, kPrompt).value());
    for (size_t i = 0; i < kPrompt; ++i) prompt.push_back(static_cast<int32_t>(3 + 7 * i));
  }

  void Feed(std::span<const int32_t> tokens) {
    const BatchEntry entry = {&*kv, tokens, LogitRows::kLast};
    if (!transformer->Forward({&entry, 1}, *scratch, pool)) std::abort();
  }

  double parameters = 0;
  ThreadPool pool{1};
  std::optional<Transformer> transformer;
  std::optional<Scratch> scratch;
  std::optional<KvCache> kv;
  std::vector<int32_t> prompt;
};

void Report(benchmark::State& state, const Bench& bench, double tokens) {
  state.counters["s/token/1e9"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * tokens * bench.parameters / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Made once: it takes longer than what is measured.
Bench& BenchOf(const std::string& family) {
  static std::map<std::string, Bench> benches;
  return benches.try_emplace(family, family).first->second;
}

void Prefill(benchmark::State& state, const std::string& family) {
  Bench& bench = BenchOf(family);
  for (auto _ : state) {
    bench.kv->Truncate(0);
    bench.Feed(bench.prompt);
  }
  Report(state, bench, kPrompt);
}

void Decode(benchmark::State& state, const std::string& family) {
  Bench& bench = BenchOf(family);
  bench.kv->Truncate(0);
  bench.Feed(std::span(bench.prompt).first(kDepth));
  for (auto _ : state) {
    bench.kv->Truncate(kDepth);
    bench.Feed(std::span(bench.prompt).first(1));
  }
  Report(state, bench, 1);
}

const bool kRegistered = [] {
  for (const std::string family : {"llama3", "qwen3", "gemma3"}) {
    benchmark::RegisterBenchmark(("Prefill/" + family).c_str(), Prefill, family);
    benchmark::RegisterBenchmark(("Decode/" + family).c_str(), Decode, family);
  }
  return true;
}();

}  // namespace
}  // namespace lockstep

BENCHMARK_MAIN();
