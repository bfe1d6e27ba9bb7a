// Attention for NEON, in a file of its own as it takes long to compile.
#if defined(__aarch64__)

#include "core/kernels/arm/neon.h"
#include "core/kernels/attention_walk.h"

namespace lockstep::neon {

void Attention(const AttentionJob& job) { AttentionWalk<Floats>::Attend(job); }

}  // namespace lockstep::neon

#endif  // __aarch64__
