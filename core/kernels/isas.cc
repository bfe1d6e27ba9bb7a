// The one list of instruction sets: dispatch, help text and tests read it. What must not be run on
// a lesser processor, the kernels and even the making of their table, stays behind the functions of
// a row, each in the files of its instruction set.
#include "core/kernels/isas.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace lockstep {

const KernelTable& AmxKernels();
const KernelTable& Avx512Kernels();
const KernelTable& Avx2Kernels();
const KernelTable& NeonDotKernels();
const KernelTable& NeonKernels();

namespace {

bool Always() { return true; }

#if defined(__x86_64__)
// AVX2, FMA and F16C. The compiler's check includes the operating system's part (xgetbv); clang 14
// lacks f16c's name.
bool HasAvx2() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
}

// VNNI, with F, BW, DQ and VL.
bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

// Tiles of int8 and bf16. The tile registers must be known to the processor, switched on by the
// system, and asked for: Linux grants their 8 KiB of state to a process, all of its threads,
// through arch_prctl.
bool HasAmx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr unsigned kWanted = kBf16 | kTile | kInt8;
  if (!HasAvx512() || __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 ||
      (edx & kWanted) != kWanted) {
    return false;
  }
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#elif defined(__aarch64__)
// The dot product extension: sdot.
bool HasNeonDot() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#endif

constexpr Isa kIsas[] = {
#if defined(__x86_64__)
    {"amx", HasAmx, AmxKernels},
    {"avx512", HasAvx512, Avx512Kernels},
    {"avx2", HasAvx2, Avx2Kernels},
#elif defined(__aarch64__)
    {"neon_dot", HasNeonDot, NeonDotKernels},
    {"neon", Always, NeonKernels},
#endif
    {"scalar", Always, ScalarKernels},
};

}  // namespace

std::span<const Isa> Isas() { return kIsas; }

std::string IsaNames() {
  std::string names;
  for (const Isa& isa : kIsas) {
    if (!names.empty()) names += &isa == std::end(kIsas) - 1 ? " or " : ", ";
    names += isa.name;
  }
  return names;
}

}  // namespace lockstep
