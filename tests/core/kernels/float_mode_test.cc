#include "core/kernels/float_mode.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace lockstep {
namespace {

TEST(FloatModeTest, DenormalsAreZeroInTheThreadThatAskedForItAlone) {
  const auto halved = [] {
    volatile float smallest = std::numeric_limits<float>::min();
    return smallest * 0.5f;
  };
  const auto doubled = [] {
    volatile float denormal = std::numeric_limits<float>::denorm_min();
    return denormal * 2.0f;
  };
  std::thread([&] {
    SetComputeFloatMode();
    EXPECT_EQ(halved(), 0.0f);
    EXPECT_EQ(doubled(), 0.0f);
  }).join();
  std::thread([&] {
    volatile float zero = 0.0f;  // which == would also take a denormal for, were it flushed
    EXPECT_GT(halved(), zero);
  }).join();
}

}  // namespace
}  // namespace lockstep
