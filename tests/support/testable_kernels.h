// The kernel tables that tests can run here.
#pragma once

#include <vector>

#include "core/kernels/kernels.h"

namespace lockstep {

// Those of this processor, and the AMX ones on a tile unit in software where it has none but could
// run the rest of them.
std::vector<const KernelTable*> TestableKernels();

}  // namespace lockstep
