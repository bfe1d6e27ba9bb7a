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

// Room for the quantised right-hand side of a product, allocated once for the largest.
struct QuantBuffer {
  QuantBuffer() = default;
  QuantBuffer(size_t max_rows, size_t max_k);
  AlignedBuffer<int8_t> q;     // [max_rows][max_k]
  AlignedBuffer<float> scale;  // [max_rows][max_k / 32]
  AlignedBuffer<int32_t> sum;  // [max_rows][max_k / 32]
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

// y = x * w^T for each job; rows of x are quantised into `buffer` if a job's weights are.
void MatMul(const KernelTable& kernels, ThreadPool& pool, const MatMulInput& in,
            std::span<const MatMulJob> jobs, QuantBuffer& buffer);

}  // namespace lockstep
