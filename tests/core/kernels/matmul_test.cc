#include "core/kernels/matmul.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

PackedMatrix RandomQ8(size_t rows, size_t cols, Random& random) {
  const std::vector<uint8_t> file = RandomTensorBytes(random, WeightType::kQ8_0, rows * cols, 0.5);
  PackedMatrix w = MakePackedMatrix(WeightType::kQ8_0, rows, cols);
  for (size_t p = 0; p < w.panel_count(); ++p) PackPanel(file.data(), p, w);
  return w;
}

// A row's products are the same whatever the thread count, the other rows of the batch, and the
// other matrices of the group.
TEST(MatMulTest, DependsOnNeitherThreadsNorNeighbours) {
  SetComputeFloatMode();
  Random random(3);
  constexpr size_t kCols = 256, kN = 9;
  const PackedMatrix a = RandomQ8(500, kCols, random), b = RandomQ8(64, kCols, random);
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

}  // namespace
}  // namespace lockstep
