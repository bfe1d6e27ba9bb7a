#include "core/kernels/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace lockstep {
namespace {

#if defined(__x86_64__)
// The tile registers must be known to the processor, switched on by the system, and asked for:
// Linux grants their 8 KiB of state to a process, all of its threads, through arch_prctl.
bool AmxIsGranted() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr unsigned kWanted = kBf16 | kTile | kInt8;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & kWanted) != kWanted) {
    return false;
  }
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

}  // namespace

CpuFeatures DetectCpu() {
  CpuFeatures f;
#if defined(__x86_64__)
  // The compiler's check includes the operating system's part (xgetbv); clang 14 lacks f16c's name.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
  f.avx2_fma_f16c = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
  f.avx512_vnni = f.avx2_fma_f16c && __builtin_cpu_supports("avx512f") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  f.amx = f.avx512_vnni && AmxIsGranted();
#elif defined(__aarch64__)
  f.neon_dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
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
