#include "core/kernels/float_mode.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace lockstep {
namespace {

TEST(FloatModeTest, DenormalsAreZeroOnInputAndOutput) {
  std::thread([] {  // so that no other test computes in this mode
    SetComputeFloatMode();
    volatile float smallest = std::numeric_limits<float>::min();
    volatile float denormal = std::numeric_limits<float>::denorm_min();
    EXPECT_EQ(smallest * 0.5f, 0.0f);
    EXPECT_EQ(denormal * 0x1p100f, 0.0f);
  })
      .join();
}

}  // namespace
}  // namespace lockstep
