// What choosing a token costs, by the size of the vocabulary and what a request asks for: all of it
// is one thread's, while the next step of that stream waits. Logits are of a normal distribution
// with a few that stand out, as those of models are.
//
//   cmake --build build/release --target sampler_bench && build/release/sampler_bench
#include <benchmark/benchmark.h>

#include <vector>

#include "core/engine/sampler.h"
#include "core/kernels/dispatch.h"
#include "tests/support/random.h"
#include "tests/support/sampler_cases.h"

namespace lockstep {
namespace {

std::vector<float> Logits(size_t vocab) {
  Random random(5);
  std::vector<float> logits(vocab);
  for (float& x : logits) {
    for (int i = 0; i < 12; ++i) x += random.Float(-1, 1);  // nearly normal, of deviation 2
  }
  for (int i = 0; i < 20; ++i) logits[random.Below(vocab)] += 14;
  return logits;
}

SamplingParams Greedy() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

// The defaults of OpenAI's routes: every token may come.
SamplingParams All() { return Plain(/*seed=*/0); }

SamplingParams TopP() {
  SamplingParams params = All();
  params.top_p = 0.95f;
  return params;
}

SamplingParams Logprobs() {
  SamplingParams params = Greedy();
  params.logprobs = 5;
  return params;
}

void Choose(benchmark::State& state, const SamplingParams& params) {
  const auto vocab = static_cast<size_t>(state.range(0));
  const std::vector<float> logits = Logits(vocab);
  Sampler sampler(vocab, *ChooseKernels("auto").kernels);
  sampler.Reset(params, {});
  uint64_t position = 0;
  for (auto _ : state) benchmark::DoNotOptimize(sampler.Sample(logits, ++position));
}

void Sizes(benchmark::internal::Benchmark* b) {
  b->Arg(32000)->Arg(151936)->Arg(262144)->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(Choose, greedy, Greedy())->Apply(Sizes);
BENCHMARK_CAPTURE(Choose, top_k, SamplingParams())->Apply(Sizes);
BENCHMARK_CAPTURE(Choose, all, All())->Apply(Sizes);
BENCHMARK_CAPTURE(Choose, top_p, TopP())->Apply(Sizes);
BENCHMARK_CAPTURE(Choose, logprobs, Logprobs())->Apply(Sizes);

}  // namespace
}  // namespace lockstep

BENCHMARK_MAIN();
