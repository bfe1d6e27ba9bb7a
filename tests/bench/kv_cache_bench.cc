// What the KV cache buys: 50 greedy tokens after a prompt of 19, on a model of 4 layers, 128 wide,
// with random F32 weights. "Cached" feeds each new token once. "Recompute" is the plain path
// without a cache, everything again for each token, as one batch; "RecomputeOneByOne" does so row
// by row, without the help of matrix products over many rows.
//
//   cmake --build build/release --target kv_cache_bench && build/release/kv_cache_bench
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/transformer/model_config.h"
#include "core/transformer/transformer.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

constexpr size_t kPrompt = 19, kGenerated = 50;

struct Bench {
  explicit Bench(size_t threads) : pool(threads) {
    SetComputeFloatMode();
    TinyModelOptions options;
    options.dim = 128, options.layers = 4, options.heads = 4, options.kv_heads = 4;
    options.head_dim = 32, options.ffn_dim = 512;
    const std::vector<uint8_t> bytes = TinyModel(options);
    const GgufFile file = GgufFile::Parse(bytes, "bench").value();
    const ModelConfig config = ReadModelConfig(file).value();
    transformer.emplace(config, LoadWeights(file, config, pool).value(),
                        *ChooseKernels("auto").kernels);
    scratch.emplace(config, kPrompt + kGenerated, 1, threads);
    kv.emplace(KvCache::Create(config, 128).value());
    for (size_t i = 0; i < kPrompt; ++i) prompt.push_back(static_cast<int32_t>(3 + 7 * i));
  }

  void Feed(std::span<const int32_t> tokens, LogitRows rows) {
    const BatchEntry entry = {&*kv, tokens, rows};
    if (!transformer->Forward({&entry, 1}, *scratch, pool)) std::abort();
  }
  // Feeds tokens and returns the likeliest next one.
  int32_t Next(std::span<const int32_t> tokens) {
    Feed(tokens, LogitRows::kLast);
    const auto logits = scratch->logits(0);
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }

  ThreadPool pool;
  std::optional<Transformer> transformer;
  std::optional<Scratch> scratch;
  std::optional<KvCache> kv;
  std::vector<int32_t> prompt;
};

void Report(benchmark::State& state) {
  state.counters["tokens/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * kGenerated), benchmark::Counter::kIsRate);
}

void Cached(benchmark::State& state) {
  Bench b(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    b.kv->Truncate(0);
    int32_t token = b.Next(b.prompt);
    for (size_t i = 1; i < kGenerated; ++i) token = b.Next({&token, 1});
    benchmark::DoNotOptimize(token);
  }
  Report(state);
}

// next(bench, tokens) reads all tokens into an empty cache and returns the likeliest next one.
template <class Next>
void WithoutCache(benchmark::State& state, const Next& next) {
  Bench b(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    std::vector<int32_t> tokens = b.prompt;
    for (size_t i = 0; i < kGenerated; ++i) {
      b.kv->Truncate(0);
      tokens.push_back(next(b, tokens));
    }
  }
  Report(state);
}

void Recompute(benchmark::State& state) {
  WithoutCache(state, [](Bench& b, const std::vector<int32_t>& tokens) { return b.Next(tokens); });
}

void RecomputeOneByOne(benchmark::State& state) {
  WithoutCache(state, [](Bench& b, const std::vector<int32_t>& tokens) {
    for (size_t t = 0; t + 1 < tokens.size(); ++t) b.Feed({&tokens[t], 1}, LogitRows::kNone);
    return b.Next({&tokens.back(), 1});
  });
}

BENCHMARK(Cached)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(Recompute)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(RecomputeOneByOne)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
}  // namespace lockstep

BENCHMARK_MAIN();
