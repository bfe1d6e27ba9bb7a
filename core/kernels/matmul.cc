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

// One call. Rows of a group lie side by side in the scratch, and behind the groups before it; the
// second steps of its rows behind their first.
class GroupedProduct {
 public:
  GroupedProduct(const KernelTable& kernels, ThreadPool& pool, std::span<const MatMulGroup> groups,
                 MatMulScratch& scratch);
  // All rows in the forms that the weights want.
  void Prepare();
  void Multiply();

 private:
  bool InTwoSteps(WeightType type) const { return steps_ == 2 && type == WeightType::kQ8_0; }
  // A thread's floats, for the rests of a row and for products of both steps.
  float* Parts(size_t thread) { return s_.parts_.data() + thread * s_.part_floats_; }
  void Quantize(const float* x, size_t row);
  void PrepareRow(const MatMulInput& in, size_t first_row, size_t i, size_t thread);
  ActivationView View(const MatMulInput& in, size_t first_row, WeightType type) const;
  // Panels [from, to) of one job.
  void MultiplyPanels(const MatMulInput& in, size_t first_row, const MatMulJob& job, size_t from,
                      size_t to, size_t thread);
  void MultiplyTwice(const ActivationView& x, size_t n, const MatMulJob& job, size_t from,
                     size_t to, size_t thread);
  void Call(const PackedMatrix& w, size_t panel, size_t count, const ActivationView& x, size_t n,
            float* y, size_t ldy, size_t thread);

  const KernelTable& kernels_;
  ThreadPool& pool_;
  const std::span<const MatMulGroup> groups_;
  MatMulScratch& s_;
  const size_t k_, blocks_, steps_;
  size_t rows_ = 0, panels_ = 0, row_panels_ = 0;  // the last: rows that each panel multiplies
  bool quantized_ = false, bf16_ = false, twice_ = false;  // whether a job needs this form
};

GroupedProduct::GroupedProduct(const KernelTable& kernels, ThreadPool& pool,
                               std::span<const MatMulGroup> groups, MatMulScratch& scratch)
    : kernels_(kernels),
      pool_(pool),
      groups_(groups),
      s_(scratch),
      k_(groups[0].in.k),
      blocks_(k_ / kQuantBlock),
      steps_(scratch.steps_ == InputSteps::kTwo ? 2 : 1) {
  assert(pool.threads() * s_.panel_bytes_ <= s_.panels_.size());
  for (const MatMulGroup& group : groups) {
    assert(group.in.k == k_);
    rows_ += group.in.n;
    for (const MatMulJob& job : group.jobs) {
      assert(job.w->cols == k_ && job.ldy >= PaddedRows(job.w->rows));
      panels_ += job.w->panel_count();
      row_panels_ += job.w->panel_count() * group.in.n;
      quantized_ |= IsQuantized(job.w->type);
      bf16_ |= job.w->type == WeightType::kBF16;
      twice_ |= InTwoSteps(job.w->type);
    }
  }
  assert(rows_ <= s_.max_rows_ && k_ <= s_.max_k_);
}

void GroupedProduct::Quantize(const float* x, size_t row) {
  kernels_.quantize(x, k_,
                    {.q = s_.q_.data() + row * k_,
                     .scale = s_.scale_.data() + row * blocks_,
                     .offset = s_.offset_.data() + row * blocks_,
                     .sub_offset = s_.sub_offset_.data() + 2 * row * blocks_,
                     .sum = s_.sum_.data() + row * blocks_,
                     .sub_sum = s_.sub_sum_.data() + 2 * row * blocks_});
}

void GroupedProduct::PrepareRow(const MatMulInput& in, size_t first_row, size_t i, size_t thread) {
  const float* x = in.x + i * in.stride;
  const size_t at = steps_ * first_row + i;
  if (quantized_) Quantize(x, at);
  if (twice_) {
    float* rest = Parts(thread);
    TakeOff(kernels_, x, s_.q_.data() + at * k_, s_.scale_.data() + at * blocks_, k_, rest);
    Quantize(rest, at + in.n);
  }
  if (bf16_) {
    const size_t values = (first_row + i) * k_;
    kernels_.to_bfloat16(x, k_, s_.bf16_.data() + values, s_.rounded_.data() + values);
  }
}

void GroupedProduct::Prepare() {
  if (!quantized_ && !bf16_) return;
  pool_.ParallelFor(rows_, std::max<size_t>(1, kSmallQuantize / k_),
                    [&](size_t begin, size_t end, size_t thread) {
                      size_t first_row = 0;  // of the group
                      for (const MatMulGroup& group : groups_) {
                        const auto [from, to] = PartOf(begin, end, first_row, group.in.n);
                        for (size_t i = from; i < to; ++i) {
                          PrepareRow(group.in, first_row, i, thread);
                        }
                        first_row += group.in.n;
                      }
                    });
}

// The rows of a group, the first of which is `first_row`, as weights of a type want them.
ActivationView GroupedProduct::View(const MatMulInput& in, size_t first_row,
                                    WeightType type) const {
  const size_t at = steps_ * first_row;
  const bool rounded = type == WeightType::kBF16;
  return {.k = k_,
          .f32 = rounded ? s_.rounded_.data() + first_row * k_ : in.x,
          .stride = rounded ? k_ : in.stride,
          .bf16 = s_.bf16_.data() + first_row * k_,
          .q = s_.q_.data() + at * k_,
          .scale = s_.scale_.data() + at * blocks_,
          .offset = s_.offset_.data() + at * blocks_,
          .sub_offset = s_.sub_offset_.data() + 2 * at * blocks_,
          .sum = s_.sum_.data() + at * blocks_,
          .sub_sum = s_.sub_sum_.data() + 2 * at * blocks_};
}

void GroupedProduct::Call(const PackedMatrix& w, size_t panel, size_t count,
                          const ActivationView& x, size_t n, float* y, size_t ldy, size_t thread) {
  kernels_.matmul[static_cast<size_t>(w.type)](w.panel(panel), count, x, n, y, ldy,
                                               s_.panels_.data() + thread * s_.panel_bytes_);
}

void GroupedProduct::MultiplyTwice(const ActivationView& x, size_t n, const MatMulJob& job,
                                   size_t from, size_t to, size_t thread) {
  float* parts = Parts(thread);
  for (; from < to; from += kPartPanels) {
    const size_t count = std::min(kPartPanels, to - from);
    Call(*job.w, from, count, x, 2 * n, parts, kPartRows, thread);
    for (size_t i = 0; i < n; ++i) {
      const float *first = parts + i * kPartRows, *rest = parts + (n + i) * kPartRows;
      float* y = job.y + i * job.ldy + from * kPanelRows;
      for (size_t r = 0; r < count * kPanelRows; ++r) y[r] = first[r] + rest[r];
    }
  }
}

void GroupedProduct::MultiplyPanels(const MatMulInput& in, size_t first_row, const MatMulJob& job,
                                    size_t from, size_t to, size_t thread) {
  const ActivationView x = View(in, first_row, job.w->type);
  if (InTwoSteps(job.w->type)) return MultiplyTwice(x, in.n, job, from, to, thread);
  Call(*job.w, from, to - from, x, in.n, job.y + from * kPanelRows, job.ldy, thread);
}

void GroupedProduct::Multiply() {
  if (panels_ == 0) return;
  const size_t panel_products = kPanelRows * k_ * row_panels_ / panels_;  // of an average panel
  const size_t grain = Grain(panels_, pool_.threads(), panel_products, quantized_);
  pool_.ParallelFor(panels_, grain, [&](size_t begin, size_t end, size_t thread) {
    size_t first_row = 0, first = 0;  // of the group, and of the job's panels over all jobs
    for (const auto& [in, jobs] : groups_) {
      for (const MatMulJob& job : jobs) {
        const auto [from, to] = PartOf(begin, end, first, job.w->panel_count());
        if (from < to) MultiplyPanels(in, first_row, job, from, to, thread);
        first += job.w->panel_count();
      }
      first_row += in.n;
    }
  });
}

void MatMul(const KernelTable& kernels, ThreadPool& pool, std::span<const MatMulGroup> groups,
            MatMulScratch& scratch) {
  GroupedProduct product(kernels, pool, groups, scratch);
  product.Prepare();
  product.Multiply();
}

}  // namespace lockstep
