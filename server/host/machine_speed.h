// What the machine gives at the moment, measured: how fast memory is read, and how fast kernels
// multiply with what is in the caches. No step of a model is faster than both allow.
#pragma once

#include <cstddef>

#include "core/kernels/kernels.h"
#include "core/kernels/thread_pool.h"

namespace lockstep {

// What all threads together do in a second.
struct MachineSpeed {
  double bytes = 0;                  // of memory, read
  double integer = 0, floating = 0;  // multiply-adds with weights in 8 bits and in float32
};

// What is read are `bytes`, 128 MiB at most, so that what fits into caches is read from there.
// Takes a quarter of a second, and that memory for as long; the best of several runs counts, as
// others who use the machine make one slower and never faster. Throws std::bad_alloc.
MachineSpeed MeasureSpeed(const KernelTable& kernels, ThreadPool& pool, size_t bytes);

}  // namespace lockstep
