// The instruction sets (ISAs) that there are kernels for. Thread-safe.
#pragma once

#include <span>
#include <string>

#include "core/kernels/kernels.h"

namespace lockstep {

struct Isa {
  const char* name;                 // as --isa spells it; also KernelTable::isa of its kernels
  bool (*runs_here)();              // on this processor, as its system lets us use it
  const KernelTable& (*kernels)();  // REQUIRES: runs_here()
};

// The instruction sets of this architecture, fastest first; the last is scalar, which runs
// everywhere.
std::span<const Isa> Isas();

// For a sentence: "amx, avx512, avx2 or scalar".
std::string IsaNames();

}  // namespace lockstep
