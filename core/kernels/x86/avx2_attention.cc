// Attention for AVX2, in a file of its own as it takes long to compile.
#if defined(__x86_64__)

#include "core/kernels/attention_walk.h"
#include "core/kernels/x86/avx2.h"

namespace lockstep::avx2 {

void Attention(const AttentionJob& job) { AttentionWalk<Floats>::Attend(job); }

}  // namespace lockstep::avx2

#endif  // __x86_64__
