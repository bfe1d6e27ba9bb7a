// The control register of the floating-point unit is written as a whole: what a library or a caller
// left in it must not decide a bit of an answer.
#include "core/kernels/float_mode.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {

void SetComputeFloatMode() {
#if defined(__x86_64__)
  constexpr unsigned kMasked = 0x1f80, kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(kMasked | kFlushToZero | kDenormalsAreZero);
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" ::"r"(1ull << 24));  // FZ, round to nearest
#endif
}

}  // namespace lockstep
