// What tests of kernels share: each runs with every table that this machine can run, beside the
// scalar one, which is the reference.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/kernels/float_mode.h"
#include "core/kernels/kernels.h"
#include "tests/support/random.h"
#include "tests/support/testable_kernels.h"

namespace lockstep {

class KernelTableTest : public testing::TestWithParam<const KernelTable*> {
 protected:
  KernelTableTest() { SetComputeFloatMode(); }
  const KernelTable& table() const { return *GetParam(); }
  const KernelTable& scalar() const { return ScalarKernels(); }
  Random random_{42};
};

inline std::string IsaName(const testing::TestParamInfo<const KernelTable*>& tested) {
  return tested.param->isa;
}

template <class T>
void ExpectSameBits(const std::vector<T>& a, const std::vector<T>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof(T)), 0)
        << what << ", element " << i << ": " << a[i] << " and " << b[i];
  }
}

}  // namespace lockstep
