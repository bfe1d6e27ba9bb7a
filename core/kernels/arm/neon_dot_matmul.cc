// Matrix products for NEON with sdot, compiled for Armv8.2 with the dot product extension.
#if defined(__aarch64__)

#include "core/kernels/arm/neon_matmul.h"

#if !defined(__ARM_FEATURE_DOTPROD)
#error "this file needs -march=armv8.2-a+dotprod"
#endif

namespace lockstep::neon {

const KernelTable::MatMulFn* DotMatMulTable() { return kMatMul.of; }

}  // namespace lockstep::neon

#endif  // __aarch64__
