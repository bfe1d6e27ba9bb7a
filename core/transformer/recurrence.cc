// Recurrent layers of the transformer. Their matrices are multiplied for the whole batch, as those
// of all layers; only what runs along a sequence is taken token by token, in one order of float
// operations whatever the chunks are (R1, R4). The chunked form of the delta rule (Yang et al.,
// 2024) would be faster for prompts by what is a few percent of a step, and round otherwise.
//
//   norm -> in, gate, beta, step        products with all rows
//        -> Convolve, FinishKeys        each row by itself, with the rows before it
//        -> Recall                      each 16 values of a head by themselves, along the sequence
//        -> norm, gate, out -> branch
//
// of a delta net; a short convolution is its first half, and Mamba-2 (Dao and Gu, 2024) differs
// from it in what is done to keys and steps, in the kernel of Recall and in the order of norm and
// gate.
#include <algorithm>
#include <array>
#include <cstring>

#include "core/kernels/det_math.h"
#include "core/kernels/matmul.h"
#include "core/transformer/row_loops.h"
#include "core/transformer/transformer.h"

namespace lockstep {
namespace {

// Multiply-adds of the delta rule below which another thread is not worth waking.
constexpr size_t kSmallRecall = 32 * 1024;

// ln(1 + e^x); beyond 20 as the models were trained. Written so that NaN stays what it is.
double Softplus(double x) { return x <= 20 ? DetLog(1 + DetExp(x)) : x; }

// What is projected for a head becomes by how much its state fades. Returns the step's length.
float Fade(const RecurrentWeights& w, size_t head, float* decay) {
  const double step = Softplus(double{decay[head]} + w.step_bias[head]);
  decay[head] = static_cast<float>(DetExp(w.rate[head] * step));
  return static_cast<float>(step);
}

}  // namespace

void Transformer::Recur(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  switch (config_.family->recurrence) {
    case Recurrence::kNone:
      return;
    case Recurrence::kDeltaNet:
      return DeltaNet(layer, rows, s, pool);
    case Recurrence::kShortConvolution:
      return ShortConvolution(layer, rows, s, pool);
    case Recurrence::kMamba2:
      return Mamba2(layer, rows, s, pool);
  }
}

// What each of the matrices makes of norm_, with its scale.
void Transformer::ProjectAll(std::initializer_list<Projection> to, size_t rows, Scratch& s,
                             ThreadPool& pool) const {
  std::array<MatMulJob, 4> jobs;
  size_t count = 0;
  for (const Projection& p : to) jobs[count++] = {&p.by->weight, p.out, p.stride};
  MatMul(kernels_, pool, {s.norm_.data(), rows, config_.dim, s.dim_stride_},
         std::span(jobs).first(count), s.matmul_);
  for (const Projection& p : to) FinishRows(kernels_, pool, *p.by, p.out, p.stride, rows);
}

// branch = out * (norm(recalled) * silu(gate)), where what is recalled follows from norm_.
void Transformer::DeltaNet(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const RecurrentWeights& w = weights_.layers[layer].recurrent;
  const RecurrenceSizes& r = config_.recurrence;
  ProjectAll({{&w.in, s.channels_.data(), s.channel_stride_},
              {&w.gate, s.value_gate_.data(), s.value_stride_},
              {&w.step, s.decay_.data(), s.head_stride_},
              {&w.beta, s.beta_.data(), s.head_stride_}},
             rows, s, pool);
  ForEachRow(pool, rows, r.channels, [&](size_t row) {
    Convolve(layer, row, w, s);
    FinishKeys(w, row, s);
  });
  Recall(layer, rows, {.q = 0, .k = r.key_dim(), .v = 2 * r.key_dim()}, s, pool);
  KeepWindows(layer, s, pool);
  ForEachRow(pool, rows, r.inner, [&](size_t row) {
    float* y = s.recalled_.data() + row * s.value_stride_;
    for (size_t h = 0; h < r.value_heads; ++h) {
      float* head = y + h * r.head_dim;
      kernels_.rms_norm(head, w.norm.data(), r.head_dim, config_.norm_eps, head);
    }
    kernels_.silu_mul(s.value_gate_.data() + row * s.value_stride_, y, r.inner, y);
  });
  Project(w.out, s.recalled_, s.value_stride_, rows, s, pool);
}

// branch = out * norm((recalled + skip * value) * silu(gate)), with a norm of each group of heads.
void Transformer::Mamba2(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const RecurrentWeights& w = weights_.layers[layer].recurrent;
  const RecurrenceSizes& r = config_.recurrence;
  ProjectAll({{&w.gate, s.value_gate_.data(), s.value_stride_},
              {&w.in, s.channels_.data(), s.channel_stride_},
              {&w.step, s.decay_.data(), s.head_stride_}},
             rows, s, pool);
  ForEachRow(pool, rows, r.channels, [&](size_t row) {
    Convolve(layer, row, w, s);
    float* x = s.convolved_.data() + row * s.channel_stride_;
    kernels_.silu_mul(x, nullptr, r.channels, x);
    float* decay = s.decay_.data() + row * s.head_stride_;
    for (size_t h = 0; h < r.value_heads; ++h) {
      s.beta_[row * s.head_stride_ + h] = Fade(w, h, decay);
    }
  });
  Recall(layer, rows, {.q = r.inner + r.key_dim(), .k = r.inner, .v = 0}, s, pool);
  KeepWindows(layer, s, pool);
  ForEachRow(pool, rows, r.inner, [&](size_t row) {
    float* y = s.recalled_.data() + row * s.value_stride_;
    const float* values = s.convolved_.data() + row * s.channel_stride_;
    for (size_t h = 0; h < r.value_heads; ++h) {
      kernels_.add(values + h * r.head_dim, w.skip[h], r.head_dim, y + h * r.head_dim);
    }
    kernels_.silu_mul(s.value_gate_.data() + row * s.value_stride_, y, r.inner, y);
    const size_t group = r.inner / r.key_heads;
    for (size_t i = 0; !w.norm.empty() && i < r.inner; i += group) {
      kernels_.rms_norm(y + i, w.norm.data() + i, group, config_.norm_eps, y + i);
    }
  });
  Project(w.out, s.recalled_, s.value_stride_, rows, s, pool);
}

// branch = out * (gate * convolved(in * factor)), all by element but out.
void Transformer::ShortConvolution(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const RecurrentWeights& w = weights_.layers[layer].recurrent;
  const size_t n = config_.recurrence.channels;
  ProjectAll({{&w.in, s.channels_.data(), s.channel_stride_},
              {&w.gate, s.value_gate_.data(), s.value_stride_},
              {&w.factor, s.recalled_.data(), s.value_stride_}},
             rows, s, pool);
  ForEachRow(pool, rows, n, [&](size_t row) {
    kernels_.mul(s.recalled_.data() + row * s.value_stride_, n,
                 s.channels_.data() + row * s.channel_stride_);
  });
  ForEachRow(pool, rows, n, [&](size_t row) {
    Convolve(layer, row, w, s);
    kernels_.mul(s.value_gate_.data() + row * s.value_stride_, n,
                 s.convolved_.data() + row * s.channel_stride_);
  });
  KeepWindows(layer, s, pool);
  Project(w.out, s.convolved_, s.channel_stride_, rows, s, pool);
}

// The row's convolved_: each channel's last values, weighed. Those before the sequence's first row
// in the batch are in its window.
void Transformer::Convolve(size_t layer, size_t row, const RecurrentWeights& w, Scratch& s) const {
  const RecurrenceSizes& r = config_.recurrence;
  const RowPlace& place = s.places_[row];
  const float* window = place.kv->State(layer) + r.matrix_floats();
  std::array<const float*, kMaxTaps> x;
  for (size_t j = 0; j < r.taps; ++j) {
    const size_t back = r.taps - 1 - j, known = row - place.first;
    x[j] = back <= known ? s.channels_.data() + (row - back) * s.channel_stride_
                         : window + (j + known) * r.channels;
  }
  float* y = s.convolved_.data() + row * s.channel_stride_;
  kernels_.convolve(x.data(), w.taps.data(), r.channels, r.taps, r.channels, y);
  if (!w.taps_bias.empty()) kernels_.add(w.taps_bias.data(), 1.0f, r.channels, y);
}

// The row's queries and keys of length 1, and by how much each head's state fades and is written.
void Transformer::FinishKeys(const RecurrentWeights& w, size_t row, Scratch& s) const {
  const RecurrenceSizes& r = config_.recurrence;
  float* x = s.convolved_.data() + row * s.channel_stride_;
  kernels_.silu_mul(x, nullptr, r.channels, x);
  // x / sqrt(sum of squares + eps) by way of the mean of squares.
  const float eps = config_.norm_eps / static_cast<float>(r.head_dim);
  for (size_t h = 0; h < 2 * r.key_heads; ++h) {
    float* head = x + h * r.head_dim;
    const std::vector<float>& unit = h < r.key_heads ? unit_query_ : unit_key_;
    kernels_.rms_norm(head, unit.data(), r.head_dim, eps, head);
  }
  float *decay = s.decay_.data() + row * s.head_stride_,
        *beta = s.beta_.data() + row * s.head_stride_;
  for (size_t h = 0; h < r.value_heads; ++h) {
    Fade(w, h, decay);
    beta[h] = static_cast<float>(DetSigmoid(beta[h]));
  }
}

// Brings the states to the end of the batch, and leaves what each row finds there in recalled_.
// A unit of work is 16 values of a head of a sequence, with all of its rows. `at` is where a row of
// convolved_ has its queries, keys and values.
void Transformer::Recall(size_t layer, size_t rows, const RecallParts& at, Scratch& s,
                         ThreadPool& pool) const {
  const RecurrenceSizes& r = config_.recurrence;
  const size_t units = r.inner / kLanes;  // of a sequence
  const size_t unit_cost = std::max<size_t>(1, 3 * r.keys * kLanes * rows / s.sequence_count_);
  const auto rule = config_.family->recurrence == Recurrence::kMamba2 ? kernels_.state_space
                                                                      : kernels_.delta_rule;
  const auto recall = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const auto [first, count] = s.sequences_[i / units];
      const size_t value = i % units * kLanes, head = value / r.head_dim;
      const float* x = s.convolved_.data() + first * s.channel_stride_;
      const size_t key = r.key_head(head) * r.keys;
      rule({.state = s.places_[first].kv->State(layer) + i % units * r.keys * kLanes,
            .q = x + at.q + key,
            .k = x + at.k + key,
            .v = x + at.v + value,
            .stride = s.channel_stride_,
            .rows = count,
            .keys = r.keys,
            .decay = s.decay_.data() + first * s.head_stride_ + head,
            .beta = s.beta_.data() + first * s.head_stride_ + head,
            .gate_stride = s.head_stride_,
            .out = s.recalled_.data() + first * s.value_stride_ + value,
            .out_stride = s.value_stride_});
    }
  };
  pool.ParallelFor(s.sequence_count_ * units, std::max<size_t>(1, kSmallRecall / unit_cost),
                   recall);
}

void Transformer::KeepWindows(size_t layer, Scratch& s, ThreadPool& pool) const {
  ForEachRow(pool, s.sequence_count_, config_.recurrence.window_floats(),
             [&](size_t i) { KeepWindow(layer, s.sequences_[i], s); });
}

// The window that the sequence's next row finds: the last rows before it.
void Transformer::KeepWindow(size_t layer, const RowTile& sequence, Scratch& s) const {
  const RecurrenceSizes& r = config_.recurrence;
  float* window = s.places_[sequence.first].kv->State(layer) + r.matrix_floats();
  const size_t kept = r.taps - 1 - std::min(r.taps - 1, sequence.rows);
  std::memmove(window, window + (r.taps - 1 - kept) * r.channels,
               kept * r.channels * sizeof(float));
  for (size_t j = kept; j < r.taps - 1; ++j) {
    const size_t row = sequence.first + sequence.rows - (r.taps - 1 - j);
    std::copy_n(s.channels_.data() + row * s.channel_stride_, r.channels, window + j * r.channels);
  }
}

}  // namespace lockstep
