// The roofline of a machine (Williams, Waterman, Patterson: Roofline, 2009), for the two things
// that a decoder does most. Memory is read by plain sums, whose order the hardware foresees;
// products are those of the kernels themselves, with a matrix that stays in the caches and rows
// enough that it is read seldom.
#include "server/host/machine_speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/kernels/matmul.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLongEnough{60};  // of each measurement
constexpr size_t kLeastRuns = 3;
constexpr size_t kMostBytes = size_t{128} << 20;  // more than caches hold
constexpr size_t kWordsAtOnce = size_t{1} << 14;
constexpr size_t kSide = 1024, kRows = 64;  // 1 MiB of weights in 8 bits

// Work a second of the quickest run.
template <class Run>
double Best(double work, const Run& run) {
  double best = 0;
  const auto end = Clock::now() + kLongEnough;
  for (size_t i = 0; i < kLeastRuns || Clock::now() < end; ++i) {
    const auto start = Clock::now();
    run();
    best = std::max(best, work / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

double ReadSpeed(ThreadPool& pool, size_t bytes) {
  const size_t n =
      (std::min(bytes, kMostBytes) / sizeof(uint64_t) / kWordsAtOnce + 1) * kWordsAtOnce;
  std::vector<uint64_t> words(n);
  // Pages of which nothing was written are all one page of zeroes.
  pool.ParallelFor(n, kWordsAtOnce, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) words[i] = i;
  });
  std::atomic<uint64_t> all{0};
  return Best(static_cast<double>(n * sizeof(uint64_t)), [&] {
    pool.ParallelFor(n, kWordsAtOnce, [&](size_t begin, size_t end) {
      uint64_t sums[8] = {};
      for (size_t i = begin; i < end; i += 8) {
        for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
      }
      for (const uint64_t sum : sums) all += sum;
    });
  });
}

double ProductSpeed(WeightType type, const KernelTable& kernels, ThreadPool& pool) {
  // Zeroes: any bits do for the time, but for denormals, infinities and NaN.
  const PackedMatrix w = MakePackedMatrix(type, kSide, kSide);
  const std::vector<float> x(kRows * kSide, 1);
  std::vector<float> y(kRows * PaddedRows(kSide));
  MatMulScratch scratch(kRows, kSide, pool.threads());
  const MatMulJob job[] = {{&w, y.data(), PaddedRows(kSide)}};
  return Best(static_cast<double>(kSide * kSide * kRows), [&] {
    MatMul(kernels, pool, {x.data(), kRows, kSide, kSide}, job, scratch);
  });
}

}  // namespace

MachineSpeed MeasureSpeed(const KernelTable& kernels, ThreadPool& pool, size_t bytes) {
  return {ReadSpeed(pool, bytes), ProductSpeed(WeightType::kQ8_0, kernels, pool),
          ProductSpeed(WeightType::kF32, kernels, pool)};
}

}  // namespace lockstep
