#include "tests/support/testable_kernels.h"

#include <algorithm>
#include <string_view>

#include "core/kernels/dispatch.h"
#include "core/kernels/isas.h"

namespace lockstep {

const KernelTable& EmulatedAmxKernels();  // emulated_amx.cc

#if defined(__x86_64__)
static bool RunsHere(std::string_view name) {
  const auto isa = std::ranges::find(Isas(), name, &Isa::name);
  return isa != Isas().end() && isa->runs_here();
}
#endif

std::vector<const KernelTable*> TestableKernels() {
  std::vector<const KernelTable*> tables = AvailableKernels();
#if defined(__x86_64__)
  if (RunsHere("avx512") && !RunsHere("amx")) {
    tables.push_back(&EmulatedAmxKernels());
  }
#endif
  return tables;
}

}  // namespace lockstep
