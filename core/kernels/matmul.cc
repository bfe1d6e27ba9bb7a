// Who computes which rows of a product. The right-hand side is brought to the form that the weights
// want once, by all threads; then the panels of all matrices of a call are dealt out together, as
// what a thread waits for at the end of each call costs more than the call of a small matrix.
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

// The part of the range [begin, end) that falls on n items, the first of which has the number
// `first`, counted from there; empty if none does.
struct Part {
  size_t from, to;
};
Part PartOf(size_t begin, size_t end, size_t first, size_t n) {
  return {std::max(begin, first) - first, std::min(std::max(end, first) - first, n)};
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

// Rows of a group lie side by side in the scratch, and behind the groups before it; the second
// steps of its rows behind their first.
void MatMul(const KernelTable& kernels, ThreadPool& pool, std::span<const MatMulGroup> groups,
            MatMulScratch& s) {
  assert(pool.threads() * s.panel_bytes_ <= s.panels_.size());
  const size_t k = groups[0].in.k, blocks = k / kQuantBlock;
  const size_t steps = s.steps_ == InputSteps::kTwo ? 2 : 1;
  const auto in_two_steps = [&](WeightType type) {
    return s.steps_ == InputSteps::kTwo && type == WeightType::kQ8_0;
  };
  size_t rows = 0, panels = 0, row_panels = 0;
  bool quantized = false, bf16 = false, twice = false;
  for (const MatMulGroup& group : groups) {
    assert(group.in.k == k);
    rows += group.in.n;
    for (const MatMulJob& job : group.jobs) {
      assert(job.w->cols == k && job.ldy >= PaddedRows(job.w->rows));
      panels += job.w->panel_count();
      row_panels += job.w->panel_count() * group.in.n;
      quantized |= IsQuantized(job.w->type);
      bf16 |= job.w->type == WeightType::kBF16;
      twice |= in_two_steps(job.w->type);
    }
  }
  assert(rows <= s.max_rows_ && k <= s.max_k_);
  if (panels == 0) return;
  const auto quantize = [&](const float* x, size_t row) {
    kernels.quantize(x, k,
                     {.q = s.q_.data() + row * k,
                      .scale = s.scale_.data() + row * blocks,
                      .offset = s.offset_.data() + row * blocks,
                      .sub_offset = s.sub_offset_.data() + 2 * row * blocks,
                      .sum = s.sum_.data() + row * blocks,
                      .sub_sum = s.sub_sum_.data() + 2 * row * blocks});
  };
  const auto prepare = [&](const MatMulInput& in, size_t first, size_t i, size_t thread) {
    const float* x = in.x + i * in.stride;
    const size_t at = steps * first + i;
    if (quantized) quantize(x, at);
    if (twice) {
      float* rest = s.parts_.data() + thread * s.part_floats_;
      TakeOff(kernels, x, s.q_.data() + at * k, s.scale_.data() + at * blocks, k, rest);
      quantize(rest, at + in.n);
    }
    if (bf16) {
      const size_t values = (first + i) * k;
      kernels.to_bfloat16(x, k, s.bf16_.data() + values, s.rounded_.data() + values);
    }
  };
  if (quantized || bf16) {
    pool.ParallelFor(rows, std::max<size_t>(1, kSmallQuantize / k),
                     [&](size_t begin, size_t end, size_t thread) {
                       size_t first = 0;  // row of the group
                       for (const MatMulGroup& group : groups) {
                         const auto [from, to] = PartOf(begin, end, first, group.in.n);
                         for (size_t i = from; i < to; ++i) prepare(group.in, first, i, thread);
                         first += group.in.n;
                       }
                     });
  }
  // The rows of a group, the first of which is `first`, as weights of a type want them.
  const auto view = [&](const MatMulInput& in, size_t first, WeightType type) {
    const size_t at = steps * first;
    const bool rounded = type == WeightType::kBF16;
    return ActivationView{.k = k,
                          .f32 = rounded ? s.rounded_.data() + first * k : in.x,
                          .stride = rounded ? k : in.stride,
                          .bf16 = s.bf16_.data() + first * k,
                          .q = s.q_.data() + at * k,
                          .scale = s.scale_.data() + at * blocks,
                          .offset = s.offset_.data() + at * blocks,
                          .sub_offset = s.sub_offset_.data() + 2 * at * blocks,
                          .sum = s.sum_.data() + at * blocks,
                          .sub_sum = s.sub_sum_.data() + 2 * at * blocks};
  };
  const auto multiply = [&](const PackedMatrix& w, size_t panel, size_t count,
                            const ActivationView& x, size_t n, float* y, size_t ldy,
                            size_t thread) {
    kernels.matmul[static_cast<size_t>(w.type)](w.panel(panel), count, x, n, y, ldy,
                                                s.panels_.data() + thread * s.panel_bytes_);
  };
  const auto multiply_twice = [&](const MatMulJob& job, size_t from, size_t to,
                                  const ActivationView& x, size_t n, size_t thread) {
    float* parts = s.parts_.data() + thread * s.part_floats_;
    for (; from < to; from += kPartPanels) {
      const size_t count = std::min(kPartPanels, to - from);
      multiply(*job.w, from, count, x, 2 * n, parts, kPartRows, thread);
      for (size_t i = 0; i < n; ++i) {
        const float *first = parts + i * kPartRows, *rest = parts + (n + i) * kPartRows;
        float* y = job.y + i * job.ldy + from * kPanelRows;
        for (size_t r = 0; r < count * kPanelRows; ++r) y[r] = first[r] + rest[r];
      }
    }
  };
  const size_t panel_products = kPanelRows * k * row_panels / panels;  // of an average panel
  const size_t grain = Grain(panels, pool.threads(), panel_products, quantized);
  pool.ParallelFor(panels, grain, [&](size_t begin, size_t end, size_t thread) {
    size_t first_row = 0, first = 0;  // of the group, and of the job's panels over all jobs
    for (const auto& [in, jobs] : groups) {
      for (const MatMulJob& job : jobs) {
        const auto [from, to] = PartOf(begin, end, first, job.w->panel_count());
        first += job.w->panel_count();
        if (from >= to) continue;
        const ActivationView x = view(in, first_row, job.w->type);
        if (in_two_steps(job.w->type)) {
          multiply_twice(job, from, to, x, in.n, thread);
        } else {
          multiply(*job.w, from, to - from, x, in.n, job.y + from * kPanelRows, job.ldy, thread);
        }
      }
      first_row += in.n;
    }
  });
}

}  // namespace lockstep
