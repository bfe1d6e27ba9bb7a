// The kernels of one thread by instruction set. Matrix products by weight type and number of
// columns: multiply-adds per second, and for one column the bytes of weights read per second.
// Attention by type of the KV cache, rows, and heads that share keys and values, behind 4,096
// positions of a cache of 16 layers with 8 heads of 64: multiply-adds and bytes of it per second.
// Rounding activations: values per second. Repacking: bytes of the file per second.
//
//     build/release/kernel_bench [--benchmark_filter='Q4_0/avx512']
//
// Where the time of the whole goes (perf record on `lockstep bench`, TinyLlama 1.1B shape, Q4_0,
// avx512, 2 threads on Zen 5), in shares of what is not loading:
// - Prefill of 512: 73% products of expanded panels (Tile), 8% attention, 5% rounding activations,
//   2% each of expanding and SiLU, 1% each of RMSNorm and adding.
// - One stream: 87% products straight from the panels, 8% threads that wait for one another, 1%
//   attention. Memory bounds it: both cores together read 43 to 48 GB/s of weights. Fetching
//   ahead makes it slower, and 2 to 32 pieces of a matrix for each thread no difference.
// - 2 to 64 streams (Zen 4, both cores: 31 to 44 GB/s of memory and 467 G multiply-adds a second by
//   vpdpbusd): weights are asked for 8 KiB ahead, so that four rows take 1.04 of the time of one.
//   From eight rows on products are the bound. A block of 32 columns takes eight vpdpbusd, one
//   multiplication and one fma, which share a port: at most 374 G, and 330 are reached in cache.
// - One stream behind 8,000 tokens (llama-3.2-1b shape, Zen 4): 49.2 tokens/s, 0.93 of what memory
//   allows; 34.8 while keys and values were fetched into the first cache instead of the second.
// A sub-block of 32 columns, two panels and eight columns takes 128 vpdpbusd, and 16 each of a
// conversion, a multiplication and an fma for its scales; all but the conversions share two ports,
// so 80 cycles for 8,192 multiply-adds: at 2.9 GHz a core is bound by 300 G a second, and 275 are
// measured.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/kernels/matmul.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

constexpr size_t kRows = 2048, kCols = 2048;
constexpr size_t kFromMemory = 64;  // copies of the matrix, which no cache holds

void BM_MatMul(benchmark::State& state, WeightType type, const KernelTable* table) {
  SetComputeFloatMode();
  Random random(1);
  const auto file = RandomTensorBytes(random, type, kRows * kCols, 0.02);
  const auto n = static_cast<size_t>(state.range(0)), copies = static_cast<size_t>(state.range(1));
  PackedMatrix w = MakePackedMatrix(type, copies * kRows, kCols);
  for (size_t p = 0; p < kRows / kPanelRows; ++p) PackPanel(file.data(), p, w);
  for (size_t i = 1; i < copies; ++i) {
    std::copy_n(w.panels.data(), w.panels.size() / copies,
                w.panels.data() + i * (w.panels.size() / copies));
  }
  const std::vector<float> x = random.Floats(n * kCols);
  std::vector<float> y(n * w.rows);
  ThreadPool caller_only(1);
  MatMulScratch scratch(n, kCols, 1);
  const MatMulJob job[] = {{&w, y.data(), w.rows}};
  for (auto _ : state) MatMul(*table, caller_only, {x.data(), n, kCols, kCols}, job, scratch);
  const double runs = static_cast<double>(state.iterations());
  state.counters["mul-adds"] = benchmark::Counter(runs * static_cast<double>(w.rows * kCols * n),
                                                  benchmark::Counter::kIsRate);
  state.counters["bytes"] =
      benchmark::Counter(runs * static_cast<double>(w.panels.size()), benchmark::Counter::kIsRate);
}

void BM_Attention(benchmark::State& state, KvType type, const KernelTable* table) {
  SetComputeFloatMode();
  constexpr size_t kHeads = 16 * 8, kHeadDim = 64, kLength = 4096;
  const size_t rows = static_cast<size_t>(state.range(0));
  const size_t heads = static_cast<size_t>(state.range(1));
  constexpr HeadShape kHead = {.key = kHeadDim, .value = kHeadDim};
  const size_t bytes = KvBlockBytes(type, kHead);
  // Any bits do for the time, but for denormals, infinities and NaN. Memory that was never written
  // would be one page of zeroes, which a cache holds.
  AlignedBuffer<uint8_t> cache(bytes * kHeads * (kLength / kAttentionBlock + 1));
  std::fill_n(cache.data(), cache.size(), uint8_t{0x3c});
  const std::vector<float> q = Random(1).Floats(rows * heads * kHeadDim);
  std::vector<float> out(q.size());
  AlignedBuffer<float> scratch(AttentionScratchFloats(kHead));
  for (auto _ : state) {
    for (size_t head = 0; head < kHeads; ++head) {
      table->attention({.q = q.data(),
                        .q_stride = heads * kHeadDim,
                        .out = out.data(),
                        .out_stride = heads * kHeadDim,
                        .rows = rows,
                        .heads = heads,
                        .head = kHead,
                        .kv = {type, cache.data() + head * bytes, kHeads * bytes},
                        .length = kLength - rows + 1,
                        .scale = 0.125f,
                        .scratch = scratch.data()});
    }
  }
  const double positions = static_cast<double>(state.iterations()) * kHeads * kLength;
  state.counters["mul-adds"] = benchmark::Counter(
      positions * 2 * kHeadDim * static_cast<double>(rows * heads), benchmark::Counter::kIsRate);
  state.counters["bytes"] = benchmark::Counter(
      positions * static_cast<double>(bytes) / kAttentionBlock, benchmark::Counter::kIsRate);
}

// What a start does with a tensor; every ISA takes the same way.
void BM_Pack(benchmark::State& state, WeightType type) {
  Random random(1);
  const auto file = RandomTensorBytes(random, type, kRows * kCols, 0.02);
  PackedMatrix w = MakePackedMatrix(type, kRows, kCols);
  for (auto _ : state) {
    for (size_t p = 0; p < w.panel_count(); ++p) PackPanel(file.data(), p, w);
  }
  state.counters["bytes"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(file.size()),
                         benchmark::Counter::kIsRate);
}

void BM_Quantize(benchmark::State& state, const KernelTable* table) {
  SetComputeFloatMode();
  const std::vector<float> x = Random(1).Floats(kCols);
  constexpr size_t kBlocks = kCols / kQuantBlock;
  std::vector<int8_t> q(kCols);
  std::vector<float> scale(kBlocks), sum(kBlocks), sub_sum(2 * kBlocks);
  std::vector<int32_t> offset(kBlocks), sub_offset(2 * kBlocks);
  for (auto _ : state) {
    table->quantize(
        x.data(), kCols,
        {q.data(), scale.data(), offset.data(), sub_offset.data(), sum.data(), sub_sum.data()});
    benchmark::ClobberMemory();
  }
  state.counters["values"] = benchmark::Counter(static_cast<double>(state.iterations() * kCols),
                                                benchmark::Counter::kIsRate);
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  using namespace lockstep;
  for (const WeightFormat& format : kWeightFormats) {
    benchmark::RegisterBenchmark(("pack/" + std::string(format.name)).c_str(), BM_Pack,
                                 format.type);
  }
  for (const KernelTable* table : AvailableKernels()) {
    if (table == &ScalarKernels()) continue;
    for (size_t t = 0; t < kWeightTypes; ++t) {
      const auto type = static_cast<WeightType>(t);
      const std::string name = std::string(Name(type)) + "/" + table->isa;
      benchmark::RegisterBenchmark(name.c_str(), BM_MatMul, type, table)
          ->ArgsProduct({{1, 2, 4, 8, 16, 32}, {kFromMemory}})
          ->Args({1, 1})
          ->Args({16, 1})
          ->Args({128, 1});
    }
    benchmark::RegisterBenchmark(("quantize/" + std::string(table->isa)).c_str(), BM_Quantize,
                                 table);
    for (const auto type : kKvTypes) {
      const std::string name = std::string("attention/") + Name(type) + "/" + table->isa;
      benchmark::RegisterBenchmark(name.c_str(), BM_Attention, type, table)
          ->ArgsProduct({{1}, {1, 2, 4, 8}})
          ->Args({16, 4});
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
