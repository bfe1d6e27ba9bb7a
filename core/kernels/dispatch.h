// Which kernel table this processor runs. Thread-safe.
#pragma once

#include <string_view>
#include <vector>

#include "core/kernels/kernels.h"

namespace lockstep {

// What this processor can run, fastest first; the last is scalar.
std::vector<const KernelTable*> AvailableKernels();

struct KernelChoice {
  const KernelTable* kernels = nullptr;  // nullptr: the name is unknown or the processor lacks it
  const char* rejected = nullptr;        // a table that was wanted and gave wrong answers
};

// `isa` is "auto" (the fastest) or the name of a table. The choice is compared with the scalar
// kernels on a known input first, bit for bit; if it differs, scalar is taken instead.
KernelChoice ChooseKernels(std::string_view isa);

// True if the table gives the reference's bits for every kernel on a fixed pseudo-random input.
bool SameAnswers(const KernelTable& table, const KernelTable& reference);

}  // namespace lockstep
