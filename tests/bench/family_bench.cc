// What a family costs beside llama: processor time of prefill and decode, by billion parameters
// that a token is multiplied with, on published shapes scaled down, with random Q4_0 weights. One
// thread, so that it is the processor's time that counts and not the machine's other work.
//
//   cmake --build build/release --target family_bench && build/release/family_bench
#include <benchmark/benchmark.h>

#include <optional>
#include <string>
#include <vector>

#include "core/kernels/cpu_features.h"
#include "core/kernels/dispatch.h"
#include "core/transformer.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

constexpr size_t kPrompt = 256;

TinyModelOptions Shape(const std::string& family) {
  for (auto [name, options] : TinyFamilies()) {
    if (family != name) continue;
    options.type = DType::kQ4_0;
    options.dim = 1024, options.layers = 6, options.ffn_dim = 3072, options.vocab = 8192;
    options.heads = 16, options.kv_heads = 4, options.head_dim = 64;
    options.context = 512, options.rope_dim = 0, options.rope_freqs = false;
    if (family == "qwen3") options.kv_heads = 8, options.head_dim = 128;
    if (family == "gemma3") {
      options.heads = 4, options.kv_heads = 1, options.head_dim = 256;
      options.window = 128, options.window_period = 6;
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
    kv.emplace(KvCache::Create(config, 2 * kPrompt).value());
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

void Prefill(benchmark::State& state, const std::string& family) {
  Bench bench(family);
  for (auto _ : state) {
    bench.kv->Truncate(0);
    bench.Feed(bench.prompt);
  }
  Report(state, bench, kPrompt);
}

void Decode(benchmark::State& state, const std::string& family) {
  Bench bench(family);
  bench.Feed(bench.prompt);
  for (auto _ : state) {
    bench.kv->Truncate(kPrompt);
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
