#include "core/kernels/dispatch.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace lockstep
