#include "core/kernels/dispatch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/kernels/float_mode.h"

namespace lockstep {
namespace {

TEST(DispatchTest, AutoChoosesATableThatAgreesWithScalar) {
  SetComputeFloatMode();
  const KernelChoice choice = ChooseKernels("auto");
  ASSERT_NE(choice.kernels, nullptr);
  EXPECT_EQ(choice.rejected, nullptr);
  EXPECT_TRUE(SameAnswers(*choice.kernels, ScalarKernels()));
  EXPECT_STREQ(ChooseKernels("scalar").kernels->isa, "scalar");
  EXPECT_EQ(ChooseKernels("sse9").kernels, nullptr);
}

TEST(DispatchTest, AWrongKernelIsNoticed) {
  KernelTable wrong = ScalarKernels();
  wrong.add = [](const float* x, float by, size_t n, float* y) {
    for (size_t i = 0; i < n; ++i) y[i] = std::nextafter(std::fma(x[i], by, y[i]), 1e9f);
  };
  EXPECT_FALSE(SameAnswers(wrong, ScalarKernels()));
}

// A product of one type that is right but in the last of many columns, or takes each column for the
// one that is a tile further on.
TEST(DispatchTest, AWrongProductIsNoticed) {
  static constexpr auto kType = static_cast<size_t>(WeightType::kQ4_K);
  std::array<KernelTable::MatMulFn, kWeightTypes> products;
  std::copy_n(ScalarKernels().matmul, kWeightTypes, products.begin());
  KernelTable wrong = ScalarKernels();
  wrong.matmul = products.data();
  EXPECT_TRUE(SameAnswers(wrong, ScalarKernels()));
  products[kType] = [](const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
                       size_t ldy, void* scratch) {
    ScalarKernels().matmul[kType](w, panels, x, n, y, ldy, scratch);
    if (n > 64) y[(n - 1) * ldy + panels * kPanelRows - 1] += 1;
  };
  EXPECT_FALSE(SameAnswers(wrong, ScalarKernels()));
  products[kType] = [](const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
                       size_t ldy, void* scratch) {
    ScalarKernels().matmul[kType](w, panels, x, n, y, ldy, scratch);
    constexpr size_t kTile = 16;
    if (n > 2 * kTile) std::swap_ranges(y, y + kTile * ldy, y + kTile * ldy);
  };
  EXPECT_FALSE(SameAnswers(wrong, ScalarKernels()));
}

}  // namespace
}  // namespace lockstep
