// Attention for AVX-512, in a file of its own as it takes long to compile.
#if defined(__x86_64__)

#include "core/kernels/attention_walk.h"
#include "core/kernels/x86/avx512.h"

namespace lockstep::avx512 {

void Attention(const AttentionJob& job) { AttentionWalk<Floats>::Attend(job); }

}  // namespace lockstep::avx512

#endif  // __x86_64__
