// Matrix products over the thread pool: who computes which rows. Sums are never split, so the
// result does not depend on the number of threads. No intrinsics here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/kernels.h"
#include "core/kernels/packed_matrix.h"
#include "core/kernels/thread_pool.h"

namespace lockstep {

// Rows of activations as a product's right-hand side. Allocated once for the largest use.
class Activations {
 public:
  Activations() = default;
  Activations(size_t max_rows, size_t max_k);

  // Takes n rows of x, [n][stride], k values used of each. Rows of whole 32-blocks are quantised as
  // well, in parallel; x must stay as it is while products are made.
  void Set(const KernelTable& kernels, ThreadPool& pool, const float* x, size_t n, size_t k,
           size_t stride);

  const ActivationView& view() const { return view_; }
  size_t rows() const { return rows_; }

 private:
  AlignedBuffer<int8_t> q_;
  AlignedBuffer<float> scale_;
  AlignedBuffer<int32_t> sum_;
  ActivationView view_{};
  size_t rows_ = 0;
};

// One product of a group that shares its right-hand side.
struct MatMulJob {
  const PackedMatrix* w;
  float* y;    // [x.rows()][ldy]
  size_t ldy;  // >= PaddedRows(w->rows)
};

// y = x * w^T for each job, rows split over the pool. REQUIRES: w->cols == x.view().k.
void MatMul(const KernelTable& kernels, ThreadPool& pool, const Activations& x,
            const MatMulJob* jobs, size_t n_jobs);

}  // namespace lockstep
