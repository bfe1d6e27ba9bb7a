// The kernel table: one set of functions per ISA, chosen once at start. Every function has one
// order of operations, written down here, and every ISA gives the same bits for it. fma(a, b, c) is
// the IEEE fused operation; lanes are independent of each other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/layout.h"

namespace lockstep {

inline constexpr size_t kLanes = 16;           // virtual lanes of every reduction
inline constexpr size_t kAttentionBlock = 64;  // positions per step of the online softmax
inline constexpr size_t kKeyGroup = 16;        // positions side by side in the key cache

// The right-hand side of a matrix product: `n` rows of K floats, or the same rows quantised.
struct ActivationView {
  const float* f32;    // [n][stride]: for float weights
  const int8_t* q;     // [n][k]: for quantised weights
  const float* scale;  // [n][k / 32]
  const int32_t* sum;  // [n][k / 32] sum of the block's q
  size_t k;
  size_t stride;  // of f32, in floats
};

struct AttentionJob {
  const float* q;  // [heads][head_dim], already rotated
  size_t heads;    // query heads that share this key/value head
  size_t head_dim;
  const uint16_t* keys;    // f16 [ceil(length / 16)][head_dim][16]
  const uint16_t* values;  // f16 [length][head_dim]
  size_t length;           // positions 0 .. length - 1 are attended to; >= 1
  float scale;             // 1 / sqrt(head_dim)
  float* out;              // [heads][head_dim]
};

struct KernelTable {
  const char* isa;

  // y[c * ldy + r] = sum over k of w[r][k] * x[c][k], for the 16 * panels rows of `w` and the
  // columns [first, first + n) of x; column c of y is that of x.
  //   float weights: one chain over k from 0:  acc = fma(float(w), x, acc)
  //   quantised: i = exact integer sum over a block of 32; one chain over the blocks from 0:
  //              acc = fma(float(i), dw * dx, acc), where dw and dx are the blocks' scales
  using MatMulFn = void (*)(const uint8_t* w, size_t panels, const ActivationView& x, size_t first,
                            size_t n, float* y, size_t ldy);
  MatMulFn matmul[kWeightTypes];  // by WeightType

  // One row to blocks of 32 int8: amax = max |x|; below 1e-30 all zero, else scale = amax / 127 and
  // q = round_to_even(x * (127 / amax)), 0 for NaN. REQUIRES: k % 32 == 0.
  void (*quantize)(const float* x, size_t k, int8_t* q, float* scale, int32_t* sum);

  // y = (x * (1 / sqrt(mean(x^2) + eps))) * w. The squares go to lane i % 16 by fma in order of i,
  // the lanes are added in halves (8, 4, 2, 1), the mean is their sum / n.
  void (*rms_norm)(const float* x, const float* w, size_t n, float eps, float* y);

  // Rotates pairs (2i, 2i + 1) of each head by the row's angles:
  //   (a, b) -> (fma(a, cos, -(b * sin)), fma(a, sin, b * cos))
  void (*rope)(float* x, size_t heads, size_t head_dim, const float* cos, const float* sin,
               size_t pairs);

  // y = (g / (1 + exp(-g))) * u
  void (*silu_mul)(const float* g, const float* u, size_t n, float* y);

  void (*add)(const float* x, size_t n, float* y);         // y += x
  void (*to_half)(const float* x, size_t n, uint16_t* y);  // to nearest even

  // Softmax attention of each head over blocks of 64 positions from 0, in one pass:
  //   s[j] = (chain over d from 0: fma(q[d], key[j][d], s)) * scale; -inf beyond the length
  //   m' = max(m, max s);  c = exp(m - m');  p[j] = exp(s[j] - m')
  //   l[j % 16] = l[j % 16] * c, then += p[j] in order of j
  //   o[d] = o[d] * c, then fma(p[j], value[j][d], o[d]) in order of j < length
  // and out = o / (the lanes l added in halves).
  void (*attention)(const AttentionJob& job);
};

// exp in all of the above: zero for NaN and x < -87; else with x cut at 88,
//   n = fma(x, log2(e), 1.5 * 2^23) - 1.5 * 2^23, which is rint(x * log2(e))
//   r = fma(n, -ln2_low, fma(n, -ln2_high, x))
//   and fma(P(r), r * r, r + 1) * 2^n, P by Horner with fma. Constants: exp_constants.h.

const KernelTable& ScalarKernels();
const KernelTable& Avx2Kernels();    // REQUIRES: DetectCpu().avx2_fma_f16c
const KernelTable& Avx512Kernels();  // REQUIRES: DetectCpu().avx512_vnni

}  // namespace lockstep
