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

// Memory that products work in, allocated once for the largest of them: the right-hand side in the
// form that the weights want, and each thread's expanded panels.
class MatMulScratch {
 public:
  MatMulScratch() = default;
  MatMulScratch(size_t max_rows, size_t max_k, size_t threads);
  static size_t Bytes(size_t max_rows, size_t max_k, size_t threads);

 private:
  friend void MatMul(const KernelTable&, ThreadPool&, const struct MatMulInput&,
                     std::span<const struct MatMulJob>, MatMulScratch&);
  size_t max_rows_ = 0, max_k_ = 0, panel_bytes_ = 0;
  AlignedBuffer<int8_t> q_;            // [max_rows][max_k]
  AlignedBuffer<float> scale_, sum_;   // [max_rows][max_k / 32]
  AlignedBuffer<float> sub_sum_;       // [max_rows][max_k / 16]
  AlignedBuffer<int32_t> offset_;      // [max_rows][max_k / 32]
  AlignedBuffer<int32_t> sub_offset_;  // [max_rows][max_k / 16]
  AlignedBuffer<uint16_t> bf16_;       // [max_rows][max_k]
  AlignedBuffer<float> rounded_;       // [max_rows][max_k]
  AlignedBuffer<uint8_t> panels_;      // [threads][panel_bytes_]
};

// The right-hand side: n rows of k floats.
struct MatMulInput {
  const float* x;  // [n][stride]
  size_t n, k, stride;
};

// One product of a group that shares its right-hand side.
struct MatMulJob {
  const PackedMatrix* w;  // [rows][k]
  float* y;               // [n][ldy]
  size_t ldy;             // >= PaddedRows(w->rows): whole panels are written
};

// y = x * w^T for each job. REQUIRES: scratch was made for as many rows, columns and threads.
void MatMul(const KernelTable& kernels, ThreadPool& pool, const MatMulInput& in,
            std::span<const MatMulJob> jobs, MatMulScratch& scratch);

}  // namespace lockstep
