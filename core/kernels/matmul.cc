// Who computes which rows of a product. The right-hand side is brought to the form that the weights
// want once, by all threads; then the panels of all matrices that share it are dealt out together,
// as what a thread waits for at the end of each call costs more than the call of a small matrix.
#include "core/kernels/matmul.h"

#include <algorithm>
#include <cassert>

namespace lockstep {
namespace {

// Multiply-adds below which handing work to another thread (about a microsecond) costs more than
// it saves, at some 20 of them per nanosecond.
constexpr size_t kSmallTask = 64 * 1024;
// Values below which the same holds for quantizing.
constexpr size_t kSmallQuantize = 16 * 1024;

}  // namespace

MatMulScratch::MatMulScratch(size_t max_rows, size_t max_k, size_t threads)
    : max_rows_(max_rows),
      max_k_(max_k),
      panel_bytes_((MatMulScratchBytes(max_k) + 63) / 64 * 64),
      q_(max_rows * max_k),
      scale_(max_rows * (max_k / kQuantBlock)),
      sum_(max_rows * (max_k / kQuantBlock)),
      sub_sum_(max_rows * (max_k / kQuantBlock) * 2),
      offset_(max_rows * (max_k / kQuantBlock)),
      sub_offset_(max_rows * (max_k / kQuantBlock) * 2),
      bf16_(max_rows * max_k),
      rounded_(max_rows * max_k),
      panels_(threads * panel_bytes_) {}

size_t MatMulScratch::Bytes(size_t max_rows, size_t max_k, size_t threads) {
  const size_t row = max_k * (sizeof(int8_t) + sizeof(uint16_t) + sizeof(float)) +
                     max_k / kQuantBlock * (4 * sizeof(float) + 3 * sizeof(int32_t));
  return max_rows * row + threads * ((MatMulScratchBytes(max_k) + 63) / 64 * 64);
}

void MatMul(const KernelTable& kernels, ThreadPool& pool, const MatMulInput& in,
            std::span<const MatMulJob> jobs, MatMulScratch& s) {
  assert(in.n <= s.max_rows_ && in.k <= s.max_k_);
  assert(pool.threads() * s.panel_bytes_ <= s.panels_.size());
  size_t panels = 0;
  bool quantized = false, bf16 = false;
  for (const MatMulJob& job : jobs) {
    assert(job.w->cols == in.k && job.ldy >= PaddedRows(job.w->rows));
    panels += job.w->panel_count();
    quantized |= IsQuantized(job.w->type);
    bf16 |= job.w->type == WeightType::kBF16;
  }
  const size_t blocks = in.k / kQuantBlock;
  if (quantized || bf16) {
    pool.ParallelFor(
        in.n, std::max<size_t>(1, kSmallQuantize / in.k), [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) {
            const float* x = in.x + i * in.stride;
            if (quantized) {
              kernels.quantize(x, in.k,
                               {.q = s.q_.data() + i * in.k,
                                .scale = s.scale_.data() + i * blocks,
                                .offset = s.offset_.data() + i * blocks,
                                .sub_offset = s.sub_offset_.data() + 2 * i * blocks,
                                .sum = s.sum_.data() + i * blocks,
                                .sub_sum = s.sub_sum_.data() + 2 * i * blocks});
            }
            if (bf16) {
              kernels.to_bfloat16(x, in.k, s.bf16_.data() + i * in.k, s.rounded_.data() + i * in.k);
            }
          }
        });
  }
  const ActivationView plain = {.k = in.k,
                                .f32 = in.x,
                                .stride = in.stride,
                                .bf16 = s.bf16_.data(),
                                .q = s.q_.data(),
                                .scale = s.scale_.data(),
                                .offset = s.offset_.data(),
                                .sub_offset = s.sub_offset_.data(),
                                .sum = s.sum_.data(),
                                .sub_sum = s.sub_sum_.data()};
  ActivationView rounded = plain;
  rounded.f32 = s.rounded_.data();
  rounded.stride = in.k;
  // A few pieces per thread even out their pace; none is too small to be worth handing on.
  const size_t grain =
      std::max({size_t{1}, panels / (pool.threads() * 8), kSmallTask / (kPanelRows * in.k * in.n)});
  pool.ParallelFor(panels, grain, [&](size_t begin, size_t end, size_t thread) {
    size_t first = 0;  // of the job's panels, counted over all jobs
    for (const MatMulJob& job : jobs) {
      const PackedMatrix& w = *job.w;
      const size_t from = std::max(begin, first), to = std::min(end, first + w.panel_count());
      if (from < to) {
        kernels.matmul[static_cast<size_t>(w.type)](
            w.panel(from - first), to - from, w.type == WeightType::kBF16 ? rounded : plain, in.n,
            job.y + (from - first) * kPanelRows, job.ldy,
            s.panels_.data() + thread * s.panel_bytes_);
      }
      first += w.panel_count();
    }
  });
}

}  // namespace lockstep
