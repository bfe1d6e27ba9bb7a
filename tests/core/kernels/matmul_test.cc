#include "core/kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"
#include "tests/support/testable_kernels.h"

namespace lockstep {
namespace {

PackedMatrix RandomMatrix(WeightType type, size_t rows, size_t cols, Random& random) {
  const std::vector<uint8_t> file = RandomTensorBytes(random, type, rows * cols, 0.5);
  PackedMatrix w = MakePackedMatrix(type, rows, cols);
  for (size_t p = 0; p < w.panel_count(); ++p) PackPanel(file.data(), p, w);
  return w;
}

// A row's products are the same whatever the thread count, the other rows of the batch, and the
// other matrices of the group.
TEST(MatMulTest, DependsOnNeitherThreadsNorNeighbours) {
  SetComputeFloatMode();
  Random random(3);
  constexpr size_t kCols = 256, kN = 9;
  const PackedMatrix a = RandomMatrix(WeightType::kQ8_0, 500, kCols, random),
                     b = RandomMatrix(WeightType::kQ8_0, 64, kCols, random);
  const std::vector<float> x = random.Floats(kN * kCols);
  const KernelTable& kernels = *ChooseKernels("auto").kernels;
  MatMulScratch buffer(kN, kCols, 3);

  ThreadPool one(1);
  std::vector<float> alone(kN * 512);
  for (size_t i = 0; i < kN; ++i) {
    const MatMulJob job[] = {{&a, alone.data() + i * 512, 512}};
    MatMul(kernels, one, {x.data() + i * kCols, 1, kCols, kCols}, job, buffer);
  }
  for (size_t threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    std::vector<float> ya(kN * 512), yb(kN * 64);
    const MatMulJob jobs[] = {{&b, yb.data(), 64}, {&a, ya.data(), 512}};
    MatMul(kernels, pool, {x.data(), kN, kCols, kCols}, jobs, buffer);
    EXPECT_EQ(std::memcmp(ya.data(), alone.data(), ya.size() * sizeof(float)), 0) << threads;
    EXPECT_NE(yb[63], 0.0f);
  }
}

// What experts of a mixture need: each group has rows and matrices of its own.
TEST(MatMulTest, GroupsAreMultipliedAsEachAlone) {
  SetComputeFloatMode();
  Random random(5);
  constexpr size_t kCols = 256, kRows = 9, kLdy = 112;
  const PackedMatrix a = RandomMatrix(WeightType::kQ8_0, 100, kCols, random),
                     b = RandomMatrix(WeightType::kBF16, 40, kCols, random),
                     c = RandomMatrix(WeightType::kF16, 17, kCols, random),
                     d = RandomMatrix(WeightType::kQ4_K, 80, kCols, random);
  const std::vector<float> x = random.Floats(kRows * kCols);
  struct Sample {
    size_t row, rows;
    std::vector<const PackedMatrix*> matrices;
  };
  const Sample samples[] = {{0, 1, {&a, &b}}, {1, 5, {&c}}, {6, 1, {&d, &a}}, {7, 2, {&b, &d, &c}}};
  const KernelTable& kernels = *ChooseKernels("auto").kernels;
  for (const InputSteps steps : {InputSteps::kOne, InputSteps::kTwo}) {
    for (const size_t threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      MatMulScratch scratch(kRows, kCols, threads, steps);
      std::vector<float> alone(3 * kRows * kLdy), together(3 * kRows * kLdy);
      std::vector<MatMulJob> jobs[std::size(samples)];
      std::vector<MatMulGroup> groups;
      for (size_t i = 0; i < std::size(samples); ++i) {
        const auto& [row, rows, matrices] = samples[i];
        const MatMulInput in = {x.data() + row * kCols, rows, kCols, kCols};
        for (size_t m = 0; m < matrices.size(); ++m) {
          const size_t at = (m * kRows + row) * kLdy;
          const MatMulJob job = {matrices[m], alone.data() + at, kLdy};
          MatMul(kernels, pool, in, {&job, 1}, scratch);
          jobs[i].push_back({matrices[m], together.data() + at, kLdy});
        }
        groups.push_back({in, jobs[i]});
      }
      MatMul(kernels, pool, groups, scratch);
      EXPECT_EQ(std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)), 0);
      for (const Sample& sample : samples) EXPECT_NE(together[sample.row * kLdy], 0.0f);
    }
  }
}

// One step would be off by a hundred times as much; on all machines the result is the same.
TEST(MatMulTest, TwoStepsRoundTheInputTo15Bits) {
  SetComputeFloatMode();
  Random random(4);
  constexpr size_t kCols = 256, kRows = 100, kN = 9, kLdy = 112;
  const PackedMatrix a = RandomMatrix(WeightType::kQ8_0, kRows, kCols, random);
  std::vector<float> x = random.Floats(kN * kCols);
  for (size_t i = 0; i < x.size(); i += 40) x[i] *= 100;  // what makes steps large
  std::vector<float> expected;
  for (const KernelTable* table : TestableKernels()) {
    for (const size_t threads : {1, 3}) {
      ThreadPool pool(threads);
      MatMulScratch scratch(kN, kCols, threads, InputSteps::kTwo);
      std::vector<float> y(kN * kLdy);
      const MatMulJob job = {&a, y.data(), kLdy};
      MatMul(*table, pool, {x.data(), kN, kCols, kCols}, {&job, 1}, scratch);
      if (expected.empty()) expected = y;
      EXPECT_EQ(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)), 0) << table->isa;
    }
  }
  std::vector<float> w(kCols);
  for (size_t r = 0; r < kRows; ++r) {
    DecodeRow(a, r, w.data());
    for (size_t i = 0; i < kN; ++i) {
      double exact = 0, size = 0;
      for (size_t k = 0; k < kCols; ++k) {
        exact += double{w[k]} * double{x[i * kCols + k]};
        size += std::fabs(double{w[k]} * double{x[i * kCols + k]});
      }
      EXPECT_NEAR(expected[i * kLdy + r], exact, 2e-4 * size) << r << ", " << i;
    }
  }
}

}  // namespace
}  // namespace lockstep
