// What the parts of the forward pass share: loops over a batch's rows, and what is left to do to a
// product. For transformer.cc, attention.cc, recurrence.cc and feed_forward.cc.
#pragma once

#include <algorithm>
#include <cstddef>

#include "core/kernels/kernels.h"
#include "core/kernels/thread_pool.h"
#include "core/transformer/weights.h"

namespace lockstep {

// Below this many values another thread is not worth waking.
inline constexpr size_t kSmallElementwise = 16 * 1024;

// fn(row) for each row of `width` values.
template <class Fn>
void ForEachRow(ThreadPool& pool, size_t rows, size_t width, const Fn& fn) {
  pool.ParallelFor(rows, std::max<size_t>(1, kSmallElementwise / std::max<size_t>(1, width)),
                   [&](size_t begin, size_t end) {
                     for (size_t row = begin; row < end; ++row) fn(row);
                   });
}

inline void Multiply(float by, size_t n, float* x) {
  for (size_t i = 0; i < n; ++i) x[i] *= by;
}

// Whether a product is all there is to it.
inline bool IsPlain(const Linear& linear) { return linear.scale == 1 && linear.bias.empty(); }

// The scale and the bias of a product's row of n values, where it has them.
inline void Finish(const KernelTable& kernels, const Linear& linear, size_t n, float* y) {
  if (linear.scale != 1) Multiply(linear.scale, n, y);
  if (!linear.bias.empty()) kernels.add(linear.bias.data(), 1.0f, n, y);
}

inline void FinishRows(const KernelTable& kernels, ThreadPool& pool, const Linear& linear, float* y,
                       size_t stride, size_t rows) {
  if (IsPlain(linear)) return;
  const size_t n = linear.weight.rows;
  ForEachRow(pool, rows, n, [&](size_t row) { Finish(kernels, linear, n, y + row * stride); });
}

}  // namespace lockstep
