// The floating-point environment of every compute thread.
#pragma once

namespace lockstep {

// Round to nearest, denormals flushed to zero on input and output: part of the numeric contract,
// so every thread that computes calls it first. Affects the calling thread only. One difference
// between the architectures is left: what rounds up to the smallest normal number, from within half
// a unit of it, is that number on x86 and zero on aarch64.
void SetComputeFloatMode();

}  // namespace lockstep
