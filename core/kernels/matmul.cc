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

// Panels whose products of two steps are added at a time: enough that a call pays, and few enough
// that they are still in the nearest cache.
constexpr size_t kPartPanels = 4;
constexpr size_t kPartRows = kPartPanels * kPanelRows;

// Panels of floats that a kernel takes together: it reads the right-hand side once for all of them.
constexpr size_t kTogether = 4;
// Pieces for each thread below which one thread waits for another at the end.
constexpr size_t kLeastPieces = 3;

size_t PanelBytesOf(size_t max_k) { return (MatMulScratchBytes(max_k) + 63) / 64 * 64; }

// rest = x - scale * q, exact but for one rounding: the add kernel's order on every machine.
void TakeOff(const KernelTable& kernels, const float* x, const int8_t* q, const float* scale,
             size_t k, float* rest) {
  for (size_t begin = 0; begin < k; begin += kQuantBlock) {
    float codes[kQuantBlock];
    for (size_t i = 0; i < kQuantBlock; ++i) {
      codes[i] = static_cast<float>(q[begin + i]);
      rest[begin + i] = x[begin + i];
    }
    kernels.add(codes, -scale[begin / kQuantBlock], kQuantBlock, rest + begin);
  }
}

// How many panels go to a thread at a time. A few pieces per thread even out their pace, and none
// is too small to be worth handing on. Panels of floats stay together, unless threads would lack
// work; for quantized ones it was no faster.
size_t Grain(size_t panels, size_t threads, size_t panel_products, bool quantized) {
  const size_t grain = std::max({size_t{1}, panels / (threads * 8), kSmallTask / panel_products});
  if (quantized) return grain;
  if (grain >= kTogether) return grain / kTogether * kTogether;
  for (size_t together = kTogether; together > grain; together /= 2) {
    if (panels >= together * threads * kLeastPieces) return together;
  }
  return grain;
}

}  // namespace

MatMulScratch::MatMulScratch(size_t max_rows, size_t max_k, size_t threads, InputSteps steps)
    : max_rows_(max_rows),
      max_k_(max_k),
      panel_bytes_(PanelBytesOf(max_k)),
      part_floats_(steps == InputSteps::kTwo ? std::max(2 * max_rows * kPartRows, max_k) : 0),
      steps_(steps),
      bf16_(max_rows * max_k),
      rounded_(max_rows * max_k),
      panels_(threads * panel_bytes_) {
  const size_t rows = steps == InputSteps::kTwo ? 2 * max_rows : max_rows;
  const size_t blocks = rows * (max_k / kQuantBlock);
  q_ = AlignedBuffer<int8_t>(rows * max_k);
  scale_ = AlignedBuffer<float>(blocks), sum_ = AlignedBuffer<float>(blocks);
  sub_sum_ = AlignedBuffer<float>(2 * blocks);
  offset_ = AlignedBuffer<int32_t>(blocks), sub_offset_ = AlignedBuffer<int32_t>(2 * blocks);
  parts_ = AlignedBuffer<float>(threads * part_floats_);
}

size_t MatMulScratch::Bytes(size_t max_rows, size_t max_k, size_t threads, InputSteps steps) {
  const bool two = steps == InputSteps::kTwo;
  const size_t codes =
      max_k * sizeof(int8_t) + max_k / kQuantBlock * (4 * sizeof(float) + 3 * sizeof(int32_t));
  const size_t row = (two ? 2 : 1) * codes + max_k * (sizeof(uint16_t) + sizeof(float));
  const size_t part = two ? std::max(2 * max_rows * kPartRows, max_k) * sizeof(float) : 0;
  return max_rows * row + threads * (PanelBytesOf(max_k) + part);
}

void MatMul(const KernelTable& kernels, ThreadPool& pool, const MatMulInput& in,
            std::span<const MatMulJob> jobs, MatMulScratch& s) {
  assert(in.n <= s.max_rows_ && in.k <= s.max_k_);
  assert(pool.threads() * s.panel_bytes_ <= s.panels_.size());
  size_t panels = 0;
  bool quantized = false, bf16 = false, twice = false;
  const auto in_two_steps = [&](WeightType type) {
    return s.steps_ == InputSteps::kTwo && type == WeightType::kQ8_0;
  };
  for (const MatMulJob& job : jobs) {
    assert(job.w->cols == in.k && job.ldy >= PaddedRows(job.w->rows));
    panels += job.w->panel_count();
    quantized |= IsQuantized(job.w->type);
    bf16 |= job.w->type == WeightType::kBF16;
    twice |= in_two_steps(job.w->type);
  }
  const size_t blocks = in.k / kQuantBlock;
  const auto quantize = [&](const float* x, size_t row) {
    kernels.quantize(x, in.k,
                     {.q = s.q_.data() + row * in.k,
                      .scale = s.scale_.data() + row * blocks,
                      .offset = s.offset_.data() + row * blocks,
                      .sub_offset = s.sub_offset_.data() + 2 * row * blocks,
                      .sum = s.sum_.data() + row * blocks,
                      .sub_sum = s.sub_sum_.data() + 2 * row * blocks});
  };
  if (quantized || bf16) {
    pool.ParallelFor(
        in.n, std::max<size_t>(1, kSmallQuantize / in.k),
        [&](size_t begin, size_t end, size_t thread) {
          for (size_t i = begin; i < end; ++i) {
            const float* x = in.x + i * in.stride;
            if (quantized) quantize(x, i);
            if (twice) {
              float* rest = s.parts_.data() + thread * s.part_floats_;
              TakeOff(kernels, x, s.q_.data() + i * in.k, s.scale_.data() + i * blocks, in.k, rest);
              quantize(rest, in.n + i);
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
  const auto multiply = [&](const PackedMatrix& w, size_t panel, size_t count, size_t n, float* y,
                            size_t ldy, size_t thread) {
    kernels.matmul[static_cast<size_t>(w.type)](w.panel(panel), count,
                                                w.type == WeightType::kBF16 ? rounded : plain, n, y,
                                                ldy, s.panels_.data() + thread * s.panel_bytes_);
  };
  const auto multiply_twice = [&](const MatMulJob& job, size_t from, size_t to, size_t thread) {
    float* parts = s.parts_.data() + thread * s.part_floats_;
    for (; from < to; from += kPartPanels) {
      const size_t count = std::min(kPartPanels, to - from);
      multiply(*job.w, from, count, 2 * in.n, parts, kPartRows, thread);
      for (size_t i = 0; i < in.n; ++i) {
        const float *first = parts + i * kPartRows, *rest = parts + (in.n + i) * kPartRows;
        float* y = job.y + i * job.ldy + from * kPanelRows;
        for (size_t r = 0; r < count * kPanelRows; ++r) y[r] = first[r] + rest[r];
      }
    }
  };
  const size_t grain = Grain(panels, pool.threads(), kPanelRows * in.k * in.n, quantized);
  pool.ParallelFor(panels, grain, [&](size_t begin, size_t end, size_t thread) {
    size_t first = 0;  // of the job's panels, counted over all jobs
    for (const MatMulJob& job : jobs) {
      const PackedMatrix& w = *job.w;
      const size_t from = std::max(begin, first) - first;
      const size_t to = std::min(end, first + w.panel_count()) - std::min(end, first);
      if (from < to && in_two_steps(w.type)) {
        multiply_twice(job, from, to, thread);
      } else if (from < to) {
        multiply(w, from, to - from, in.n, job.y + from * kPanelRows, job.ldy, thread);
      }
      first += w.panel_count();
    }
  });
}

}  // namespace lockstep
