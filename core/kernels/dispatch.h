// Which kernel table this processor runs. Thread-safe.
#pragma once

#include <string_view>

#include "core/kernels/kernels.h"

namespace lockstep {

struct KernelChoice {
  const KernelTable* kernels = nullptr;  // nullptr: the name is unknown or the processor lacks it
  const char* rejected = nullptr;        // a faster table whose answers were wrong, or nullptr
};

// `isa` is "auto", "scalar" or "avx2"; auto is the fastest that the processor has. The choice is
// compared with the scalar kernels on a known input first, bit for bit; if it differs, scalar.
KernelChoice ChooseKernels(std::string_view isa);

// True if both tables give the same bits for every kernel on a fixed pseudo-random input.
bool SameAnswers(const KernelTable& a, const KernelTable& b);

}  // namespace lockstep
