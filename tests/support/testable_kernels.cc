#include "tests/support/testable_kernels.h"

#include "core/kernels/dispatch.h"
#include "core/kernels/isas.h"

namespace lockstep {

const KernelTable& EmulatedAmxKernels();  // emulated_amx.cc

std::vector<const KernelTable*> TestableKernels() {
  std::vector<const KernelTable*> tables = AvailableKernels();
#if defined(__x86_64__)
  if (FindIsa("avx512")->runs_here() && !FindIsa("amx")->runs_here()) {
    tables.push_back(&EmulatedAmxKernels());
  }
#endif
  return tables;
}

}  // namespace lockstep
