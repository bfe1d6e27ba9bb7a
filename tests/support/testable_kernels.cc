#include "tests/support/testable_kernels.h"

#include "core/kernels/cpu_features.h"
#include "core/kernels/dispatch.h"

namespace lockstep {

const KernelTable& EmulatedAmxKernels();  // emulated_amx.cc

std::vector<const KernelTable*> TestableKernels() {
  std::vector<const KernelTable*> tables = AvailableKernels();
#if defined(__x86_64__)
  const CpuFeatures cpu = DetectCpu();
  if (cpu.avx512_vnni && !cpu.amx) tables.push_back(&EmulatedAmxKernels());
#endif
  return tables;
}

}  // namespace lockstep
