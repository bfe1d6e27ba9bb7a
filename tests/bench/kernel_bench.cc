// Matrix products of one thread by weight type, instruction set and number of columns:
// multiply-adds per second, and for one column the bytes of weights read per second.
//
//     build/release/kernel_bench [--benchmark_filter='Q4_0/avx512']
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "core/kernels/cpu_features.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/matmul.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

constexpr size_t kRows = 2048, kCols = 2048;

void BM_MatMul(benchmark::State& state, WeightType type, const KernelTable* table) {
  SetComputeFloatMode();
  Random random(1);
  const auto file = RandomTensorBytes(random, GgufTypeOf(type), kRows * kCols, 0.02);
  PackedMatrix w = MakePackedMatrix(type, kRows, kCols);
  for (size_t p = 0; p < w.panel_count(); ++p) PackPanel(file.data(), p, w);
  const auto n = static_cast<size_t>(state.range(0));
  const std::vector<float> x = random.Floats(n * kCols);
  std::vector<float> y(n * kRows);
  ThreadPool caller_only(1);
  MatMulScratch scratch(n, kCols, 1);
  const MatMulJob job[] = {{&w, y.data(), kRows}};
  for (auto _ : state) MatMul(*table, caller_only, {x.data(), n, kCols, kCols}, job, scratch);
  const double runs = static_cast<double>(state.iterations());
  state.counters["mul-adds"] = benchmark::Counter(runs * kRows * kCols * static_cast<double>(n),
                                                  benchmark::Counter::kIsRate);
  state.counters["bytes"] =
      benchmark::Counter(runs * static_cast<double>(w.panels.size()), benchmark::Counter::kIsRate);
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  using namespace lockstep;
  for (const KernelTable* table : AvailableKernels()) {
    if (table == &ScalarKernels()) continue;
    for (size_t t = 0; t < kWeightTypes; ++t) {
      const auto type = static_cast<WeightType>(t);
      const std::string name = std::string(Name(type)) + "/" + table->isa;
      benchmark::RegisterBenchmark(name.c_str(), BM_MatMul, type, table)->Arg(1)->Arg(16)->Arg(128);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
