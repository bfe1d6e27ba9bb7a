#include "core/kernels/cpu_features.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {

CpuFeatures DetectCpu() {
  CpuFeatures f;
#if defined(__x86_64__)
  // libgcc's check includes the operating system's part (xgetbv).
  f.avx2_fma_f16c = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
#endif
  return f;
}

void SetComputeFloatMode() {
#if defined(__x86_64__)
  constexpr unsigned kMasked = 0x1f80, kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(kMasked | kFlushToZero | kDenormalsAreZero);
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" ::"r"(1ull << 24));  // FZ, round to nearest
#endif
}

}  // namespace lockstep
