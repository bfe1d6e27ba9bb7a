// What the processor can do, and the floating-point environment of every compute thread.
#pragma once

namespace lockstep {

struct CpuFeatures {
  bool avx2_fma_f16c = false;
  bool avx512_vnni = false;  // with F, BW, DQ and VL
  bool amx = false;          // tiles of int8 and bf16, granted by the system, and avx512_vnni
  bool neon_dot = false;     // the dot product extension: sdot
};
CpuFeatures DetectCpu();

// Round to nearest, denormals flushed to zero on input and output: part of the numeric contract,
// so every thread that computes calls it first. Affects the calling thread only. One difference
// between the architectures is left: what rounds up to the smallest normal number, from within half
// a unit of it, is that number on x86 and zero on aarch64.
void SetComputeFloatMode();

}  // namespace lockstep
