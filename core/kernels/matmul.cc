#include "core/kernels/matmul.h"

#include <algorithm>
#include <cassert>

namespace lockstep {
namespace {

// Multiply-adds below which handing work to another thread (about a microsecond) costs more than
// it saves, at some 20 of them per nanosecond.
constexpr size_t kSmallTask = 64 * 1024;
// The same for quantising, in values.
constexpr size_t kSmallQuantise = 16 * 1024;

}  // namespace

QuantBuffer::QuantBuffer(size_t max_rows, size_t max_k)
    : q(max_rows * max_k),
      scale(max_rows * (max_k / kQuantBlock)),
      sum(max_rows * (max_k / kQuantBlock)) {}

void MatMul(const KernelTable& kernels, ThreadPool& pool, const MatMulInput& in,
            std::span<const MatMulJob> jobs, QuantBuffer& buffer) {
  size_t panels = 0;
  bool quantised = false;
  for (const MatMulJob& job : jobs) {
    assert(job.w->cols == in.k && job.ldy >= PaddedRows(job.w->rows));
    panels += job.w->panel_count();
    quantised |= IsQuantised(job.w->type);
  }
  if (quantised) {
    assert(in.n * in.k <= buffer.q.size());
    const size_t blocks = in.k / kQuantBlock;
    pool.ParallelFor(
        in.n, std::max<size_t>(1, kSmallQuantise / in.k), [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) {
            kernels.quantize(in.x + i * in.stride, in.k, buffer.q.data() + i * in.k,
                             buffer.scale.data() + i * blocks, buffer.sum.data() + i * blocks);
          }
        });
  }
  const ActivationView x = {.f32 = in.x,
                            .q = buffer.q.data(),
                            .scale = buffer.scale.data(),
                            .sum = buffer.sum.data(),
                            .k = in.k,
                            .stride = in.stride};
  // A few pieces per thread even out their pace; none is too small to be worth handing on.
  const size_t grain =
      std::max({size_t{1}, panels / (pool.threads() * 8), kSmallTask / (kPanelRows * in.k * in.n)});
  pool.ParallelFor(panels, grain, [&](size_t begin, size_t end) {
    size_t first = 0;  // of the job's panels, counted over all jobs
    for (const MatMulJob& job : jobs) {
      const PackedMatrix& w = *job.w;
      const size_t from = std::max(begin, first), to = std::min(end, first + w.panel_count());
      if (from < to) {
        kernels.matmul[static_cast<size_t>(w.type)](w.panel(from - first), to - from, x, 0, in.n,
                                                    job.y + (from - first) * kPanelRows, job.ldy);
      }
      first += w.panel_count();
    }
  });
}

}  // namespace lockstep
