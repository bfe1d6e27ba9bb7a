// That something is measured, of every instruction set; how much it is depends on the machine.
#include "server/host/machine_speed.h"

#include <gtest/gtest.h>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"

namespace lockstep {
namespace {

TEST(MachineSpeedTest, EveryInstructionSetHasOne) {
  SetComputeFloatMode();
  ThreadPool pool(2);
  for (const KernelTable* kernels : AvailableKernels()) {
    // From no byte to more than is ever read.
    for (const size_t bytes : {size_t{0}, size_t{1'000'000}, size_t{1} << 40}) {
      if (kernels == &ScalarKernels() && bytes != 0) continue;
      const MachineSpeed speed = MeasureSpeed(*kernels, pool, bytes);
      for (const double rate : {speed.bytes, speed.integer, speed.floating}) {
        EXPECT_GT(rate, 1e6) << kernels->isa;   // no machine that runs this is as slow,
        EXPECT_LT(rate, 1e15) << kernels->isa;  // and none as quick
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
