// Matrix products for NEON without sdot.
#if defined(__aarch64__)

#include "core/kernels/arm/neon_matmul.h"

namespace lockstep::neon {

const KernelTable::MatMulFn* MatMulTable() { return kMatMul.of; }

}  // namespace lockstep::neon

#endif  // __aarch64__
