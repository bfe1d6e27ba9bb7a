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

// The right-hand side of a matrix product: `n` rows of K floats, in the form that the type of the
// weights wants. For the quantized types the rows are blocks of 32 int8 with one scale.
struct ActivationView {
  size_t k;
  const float* f32;           // [n][stride]; for BF16 weights, already rounded to bfloat16
  size_t stride;              // of f32 and bf16, in elements
  const uint16_t* bf16;       // [n][stride], the same values as f32; for BF16 weights
  const int8_t* q;            // [n][k]
  const float* scale;         // [n][k / 32]
  const int32_t* offset;      // [n][k / 32] -128 * the sum of the block's q
  const int32_t* sub_offset;  // [n][k / 16] the same of half blocks
  const float* sum;           // [n][k / 32] scale * the sum of the block's q
  const float* sub_sum;       // [n][k / 16]
};

// Rows to be filled by KernelTable::quantize, each as in ActivationView.
struct QuantizedRow {
  int8_t* q;            // [k]
  float* scale;         // [k / 32]
  int32_t* offset;      // [k / 32]
  int32_t* sub_offset;  // [k / 16]
  float* sum;           // [k / 32]
  float* sub_sum;       // [k / 16]
};

// What the largest value of a block is scaled to, one or the other, so that it has no rounding
// error. (127.49 would still round to 127 and make the steps finer, but was measured: 10% more
// error in all.) The others' errors differ by chance, so the better of two has 5 to 8% less in all.
inline constexpr float kActivationMax[2] = {127.0f, 126.0f};

enum class KvType : uint8_t { kF16, kQ8_0, kQ4_0 };
inline constexpr KvType kKvTypes[] = {KvType::kF16, KvType::kQ8_0, KvType::kQ4_0};
static constexpr inline const char* Name(KvType type) {
  return type == KvType::kF16 ? "f16" : type == KvType::kQ8_0 ? "q8_0" : "q4_0";
}

// Keys and values of one head of one sequence, in blocks of 64 positions.
struct KvView {
  KvType type;
  const uint8_t* blocks;
  size_t stride;  // bytes from one block to the next
};

// How many values a key and a value vector of a head have.
struct HeadShape {
  size_t key = 0, value = 0;
  bool value_in_key = false;  // a value vector is the first values of the key, and is not stored
};
static constexpr inline size_t StoredValue(const HeadShape& head) {
  return head.value_in_key ? 0 : head.value;
}

// A block, in one piece. Q8_0 and Q4_0 are integers of 8 and 4 bits times an f16 scale for each 32
// values of a vector, the product rounded to float. A byte of Q4_0 has two values of one position,
// each 8 more than it is: in keys dimensions d and d + 1, in values i and i + 16 of a block of 32,
// the first of them in the lower half.
struct KvBlock {
  const void* keys;              // f16 or int8 [4][key][16]: 16 positions; Q4_0 [4][key / 2][16]
  const void* values;            // f16 or int8 [64][value]; Q4_0 [64][value / 2]
  const uint16_t* key_scales;    // f16 [4][key / 32][16]; not of F16
  const uint16_t* value_scales;  // f16 [64][value / 32]; not of F16
};
// The bytes of n values.
static constexpr inline size_t KvBytes(KvType type, size_t n) {
  return type == KvType::kF16 ? 2 * n : type == KvType::kQ8_0 ? n : n / 2;
}
// The bytes of 64 vectors of n values, and of their scales, where they have some.
static constexpr inline size_t KvScaleBytes(size_t n) {
  return kAttentionBlock * (n / kQuantBlock) * sizeof(uint16_t);
}
static constexpr inline size_t KvVectorBytes(KvType type, size_t n) {
  return KvBytes(type, kAttentionBlock * n) + (type == KvType::kF16 ? 0 : KvScaleBytes(n));
}
static constexpr inline size_t KvBlockBytes(KvType type, const HeadShape& head) {
  return KvVectorBytes(type, head.key) + KvVectorBytes(type, StoredValue(head));
}
static inline KvBlock BlockAt(KvType type, const uint8_t* block, const HeadShape& head) {
  const size_t keys = KvBytes(type, kAttentionBlock * head.key);
  const uint8_t* const scales = block + keys + KvBytes(type, kAttentionBlock * StoredValue(head));
  return {block, block + keys, reinterpret_cast<const uint16_t*>(scales),
          reinterpret_cast<const uint16_t*>(scales + KvScaleBytes(head.key))};
}

// Rows of consecutive positions of one sequence, and the query heads that share its key/value head.
// Keys and values are in a cache, or are rows of floats where no cache holds them.
struct AttentionJob {
  const float* q;  // [rows][q_stride]: [heads][head.key] from the start of each, already rotated
  size_t q_stride;
  float* out;  // [rows][out_stride]: [heads][head.value]
  size_t out_stride;
  size_t rows, heads;
  HeadShape head;
  KvView kv;
  size_t length;                 // row r attends to positions 0 .. length + r - 1; >= 1
  float scale;                   // such as 1 / sqrt(head.key)
  float* scratch;                // [AttentionScratchFloats(head)], 64-byte aligned
  size_t window = 0;             // of these only the last `window`; 0: all
  float soft_cap = 0.0f;         // of the scores; 0: none
  const float* sinks = nullptr;  // [heads] scores of nothing, with no value; nullptr: none

  const float* keys = nullptr;    // in place of kv: [positions][key_stride], head.key of each
  const float* values = nullptr;  // [positions][value_stride], head.value of each
  size_t key_stride = 0, value_stride = 0;
  // Encoders' attention: each row sees all `length` positions, or with a window those that are no
  // further away than half of it. `position` is that of row 0.
  bool both_ways = false;
  size_t position = 0;
  const float* slopes =
      nullptr;  // [heads] what a score loses for each position of distance, or none

  size_t First(size_t row) const {
    const size_t end = both_ways ? position + row + window / 2 + 1 : length + row;
    const size_t most = both_ways ? window / 2 * 2 + 1 : window;
    return window != 0 && most < end ? end - most : 0;
  }
  // One behind the last position that the row attends to.
  size_t End(size_t row) const {
    if (!both_ways) return length + row;
    const size_t end = position + row + window / 2 + 1;
    return window != 0 && end < length ? end : length;
  }
};
// Queries (a head of a row) that are taken through the cache together.
inline constexpr size_t kAttentionQueries = 64;
size_t AttentionScratchFloats(const HeadShape& head);

// What a recurrent layer writes and finds of kLanes values of one head, over consecutive tokens.
// The state says for each key which of these values it stands for. Each value is on its own, so
// that threads may share the values of a head.
struct RecallJob {
  float* state;        // [keys][kLanes], 64-byte aligned
  const float *q, *k;  // [rows][stride]: [keys] each
  const float* v;      // [rows][stride]: [kLanes]
  size_t stride, rows;
  size_t keys;  // a multiple of 4
  // By how much a token lets the state fade before it writes, and how much of its value it writes.
  const float *decay, *beta;  // [rows][gate_stride]: one each
  size_t gate_stride;
  float* out;  // [rows][out_stride]: [kLanes]
  size_t out_stride;
};

struct KernelTable {
  const char* isa;

  // y[c * ldy + r] = sum over k of w[r][k] * x[c][k], for the 16 * panels rows of `w` and all n
  // columns of x; column c of y is that of x.
  //   F32, F16: one chain over k from 0: acc = fma(float(w), x, acc)
  //   BF16: x is rounded to bfloat16. For each 32 of k, an even and an odd chain from 0:
  //         e = fma(w[2i], x[2i], e), o = fma(w[2i + 1], x[2i + 1], o); then acc = acc + (e + o).
  //         It is the order of TDPBF16PS (Intel SDM).
  //   quantized: one chain over the sub-blocks (of 16 or 32) from 0, in each
  //         i = the exact integer sum of weight * q;  acc = fma(float(i), s * dx, acc),
  //         then for types with minima acc = fma(m, dx * float(sum of q), acc),
  //         where s and m are the exact products of the scales, -minimum for the K types
  // scratch: MatMulScratchBytes(k) bytes, 64-byte aligned.
  using MatMulFn = void (*)(const uint8_t* w, size_t panels, const ActivationView& x, size_t n,
                            float* y, size_t ldy, void* scratch);
  const MatMulFn* matmul;  // [kWeightTypes], by WeightType

  // One row to blocks of 32 int8: amax = max |x|; below 1e-30 all zero, else scale = amax / M and
  // q = round_to_even(x * (M / amax)), 0 for NaN and infinity. M is kActivationMax[1] if its error
  // is less, else [0]: with d = fma(-q, scale, x) of each, -d[0]^2 and d[1]^2 go to lane i % 16 by
  // fma, in order of i, and the lanes, added in halves, give less than 0. REQUIRES: k % 32 == 0.
  void (*quantize)(const float* x, size_t k, const QuantizedRow& out);
  // One row to bfloat16, to nearest even, and the same values as floats.
  void (*to_bfloat16)(const float* x, size_t k, uint16_t* bf16, float* f32);

  // y = (x * (1 / sqrt(mean(x^2) + eps))) * w. The squares go to lane i % 16 by fma in order of i,
  // the lanes are added in halves (8, 4, 2, 1), the mean is their sum / n.
  void (*rms_norm)(const float* x, const float* w, size_t n, float eps, float* y);
  // y = fma((x - mean) * (1 / sqrt(variance + eps)), w, b). The values go to lane i % 16 by
  // addition, then the squares of x - mean by fma; both are added and divided as in rms_norm.
  void (*layer_norm)(const float* x, const float* w, const float* b, size_t n, float eps, float* y);

  // Rotates pairs (2i, 2i + 1) of each head by the row's angles:
  //   (a, b) -> (fma(a, cos, -(b * sin)), fma(a, sin, b * cos))
  void (*rope)(float* x, size_t heads, size_t head_dim, const float* cos, const float* sin,
               size_t pairs);

  // y = (g / (1 + exp(-g))) * u. u may be nullptr: y is not multiplied then.
  void (*silu_mul)(const float* g, const float* u, size_t n, float* y);

  // y = GELU(g) * u in GELU's tanh form, which is g / (1 + exp(-g * fma(g * g, c1, c0))), with the
  // constants of formulas.h. u may be nullptr, too.
  void (*gelu_mul)(const float* g, const float* u, size_t n, float* y);
  // y = GELU(g) * u with GELU as it is defined, g * Phi(g): with a = |g|, z = a * sqrt(1/2),
  // t = 1 / fma(0.4, z, 1) and Q by Horner with fma, it is
  // fma(-a, ((t * Q(t)) * 0.5) * exp(-z * z), max(g, 0)). Within 1e-7 * max(1, |g|) of the exact
  // value. u may be nullptr, too.
  void (*gelu_erf_mul)(const float* g, const float* u, size_t n, float* y);
  // The gate of gpt-oss: y = (g' / (1 + exp(-(1.702 * g')))) * (u' + 1), where g' = min(g, 7) and
  // u' = max(min(u, 7), -7)
  void (*clamped_silu_mul)(const float* g, const float* u, size_t n, float* y);
  // y = cap * tanh(y / cap), as cap - (2 * cap) / (exp(y * (2 / cap)) + 1)
  void (*soft_cap)(float cap, size_t n, float* y);
  // y = u / (1 + exp(-g))
  void (*sigmoid_mul)(const float* g, const float* u, size_t n, float* y);
  void (*mul)(const float* x, size_t n, float* y);  // y = y * x

  // x = e^x, the bits of DetExp (core/kernels/det_math.h). REQUIRES: x[i] <= 709, or NaN, which
  // gives anything.
  void (*exps)(double* x, size_t n);

  void (*add)(const float* x, float by, size_t n, float* y);  // y = fma(x, by, y)
  void (*to_half)(const float* x, size_t n, uint16_t* y);     // to nearest even

  // Softmax attention of each query over blocks of 64 positions, in one pass, from the block of its
  // first position on:
  //   s[j] = (chain over d from 0: fma(q[d], key[j][d], s)) * scale, soft-capped as by soft_cap,
  //          with a slope then fma(-slope, distance, s);
  //          -inf before the first position and beyond the last one
  //   m' = max(m, max s);  c = exp(m - m');  p[j] = exp(s[j] - m')
  //   l[j % 16] = l[j % 16] * c, then += p[j] in order of j
  //   o[d] = o[d] * c, then fma(p[j], value[j][d], o[d]) in order of the j that are attended to
  // and out = o / (the lanes l added in halves). m begins as -inf and l as 0; with a sink, m begins
  // as the head's and l[0] as 1, the weight of nothing.
  void (*attention)(const AttentionJob& job);

  // y[i] = chain over j from 0: fma(w[j * w_stride + i], x[j][i], y[i]): a step of a convolution
  // over time that treats each channel by itself.
  void (*convolve)(const float* const* x /* [taps][n] */, const float* w, size_t w_stride,
                   size_t taps, size_t n, float* y);
  // For each row in order, and each of its values i:
  //   p = the sum over the keys j of fma(state[j][i], k[j], p), in four chains from 0 by j % 4,
  //       which are added as (0 + 1) + (2 + 3)
  //   d = beta * fma(-decay, p, v[i])
  //   state[j][i] = fma(state[j][i], decay, d * k[j])
  //   out[i] = as p, of the new state and q[j]
  // The gated delta rule (Yang et al., 2024).
  void (*delta_rule)(const RecallJob& job);
  // The steps of delta_rule with d = beta * v[i]: the state space of Mamba-2 (Dao and Gu, 2024).
  void (*state_space)(const RecallJob& job);
};

// Room for two panels of k columns, expanded: codes, and scale and minimum of each sub-block of 16.
inline constexpr size_t kExpandedPanels = 2;
size_t MatMulScratchBytes(size_t k);

// exp in all of the above: zero for NaN and x < -87; else with x cut at 88,
//   n = fma(x, log2(e), 1.5 * 2^23) - 1.5 * 2^23, which is rint(x * log2(e))
//   r = fma(n, -ln2_low, fma(n, -ln2_high, x))
//   and fma(P(r), r * r, r + 1) * 2^n, P by Horner with fma. Constants: formulas.h.

const KernelTable& ScalarKernels();  // the others: isas.h

}  // namespace lockstep
