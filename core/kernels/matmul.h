// Matrix products over the thread pool: who computes which rows. Sums are never split, so the
// result does not depend on the number of threads. No intrinsics here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/kernels.h"
#include "core/kernels/packed_matrix.h"
#include "core/kernels/thread_pool.h"

namespace lockstep {

// How the right-hand side of Q8_0 weights is rounded: to int8, or in two steps, where what the
// first one left is rounded again, y = w * first + w * rest. An encoder's vectors have few rows to
// average errors over, and streams with values that make the steps of a block large: one step alone
// costs them more than the weights' own rounding. Products of types with fewer bits take one.
enum class InputSteps { kOne, kTwo };

// Memory that products work in, allocated once for the largest of them: the right-hand side in the
// form that the weights want, and each thread's expanded panels.
class MatMulScratch {
 public:
  MatMulScratch() = default;
  MatMulScratch(size_t max_rows, size_t max_k, size_t threads, InputSteps steps = InputSteps::kOne);
  static size_t Bytes(size_t max_rows, size_t max_k, size_t threads,
                      InputSteps steps = InputSteps::kOne);

 private:
  friend class GroupedProduct;
  size_t max_rows_ = 0, max_k_ = 0, panel_bytes_ = 0, part_floats_ = 0;
  InputSteps steps_ = InputSteps::kOne;
  // Each has as many rows for the second step, behind those of the product's first.
  AlignedBuffer<int8_t> q_;            // [max_rows][max_k]
  AlignedBuffer<float> scale_, sum_;   // [max_rows][max_k / 32]
  AlignedBuffer<float> sub_sum_;       // [max_rows][max_k / 16]
  AlignedBuffer<int32_t> offset_;      // [max_rows][max_k / 32]
  AlignedBuffer<int32_t> sub_offset_;  // [max_rows][max_k / 16]
  AlignedBuffer<float> parts_;         // [threads][part_floats_] products of both steps
  AlignedBuffer<uint16_t> bf16_;       // [max_rows][max_k]
  AlignedBuffer<float> rounded_;       // [max_rows][max_k]
  AlignedBuffer<uint8_t> panels_;      // [threads][panel_bytes_]
};

// The right-hand side: n rows of k floats.
struct MatMulInput {
  const float* x;  // [n][stride]
  size_t n, k, stride;
};

// One product of those that share a right-hand side.
struct MatMulJob {
  const PackedMatrix* w;  // [rows][k]
  float* y;               // [n][ldy]
  size_t ldy;             // >= PaddedRows(w->rows): whole panels are written
};

// A right-hand side and its products.
struct MatMulGroup {
  MatMulInput in;
  std::span<const MatMulJob> jobs;
};

// y = x * w^T for each job of all groups, dealt out together, as experts of a mixture need it: each
// has a row or two, and threads would meet after each. REQUIRES: all have as many columns; scratch
// was made for these, for the rows of all groups together, and for the pool's threads.
void MatMul(const KernelTable& kernels, ThreadPool& pool, std::span<const MatMulGroup> groups,
            MatMulScratch& scratch);

// The products of one group, such as queries, keys and values of a layer.
inline void MatMul(const KernelTable& kernels, ThreadPool& pool, const MatMulInput& in,
                   std::span<const MatMulJob> jobs, MatMulScratch& scratch) {
  const MatMulGroup group = {in, jobs};
  MatMul(kernels, pool, {&group, 1}, scratch);
}

}  // namespace lockstep
