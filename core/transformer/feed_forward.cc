// The feed-forward part of a layer: one network, or a mixture of experts of which a token takes a
// few, beside which there may be a network that all tokens take.
#include <algorithm>

#include "core/kernels/det_math.h"
#include "core/kernels/matmul.h"
#include "core/transformer/expert_choice.h"
#include "core/transformer/row_loops.h"
#include "core/transformer/transformer.h"

namespace lockstep {
namespace {

// Rows of experts that are multiplied together: enough that threads meet seldom, and few enough
// that what goes through the experts stays in the processor's cache.
constexpr size_t kRowsTogether = 8;

// max(x, 0)^2
void ReluSquared(size_t n, float* x) {
  for (size_t i = 0; i < n; ++i) {
    const float positive = x[i] > 0 ? x[i] : 0.0f;
    x[i] = positive * positive;
  }
}

}  // namespace

// norm = feed-forward(norm(x)), in place: `down` writes norm_ only after `up` and `gate` have read
// it.
void Transformer::FeedForwards(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const LayerWeights& w = weights_.layers[layer];
  NormalizeRows(w.ffn_norm, rows, s, pool);
  if (config_.layers[layer].experts) return MixExperts(w, rows, s, pool);
  const NetworkRows all = {&w.dense, 0, rows};
  Expand({&all, 1}, s.norm_.data(), s.norm_.data(), s, pool);
}

// y = act(gate) * up, or without a gate act(up), in place of up.
void Transformer::Activate(const FeedForward& w, float* gate, float* up) const {
  const size_t n = w.up.weight.rows;
  const bool gated = w.gate.weight.rows != 0;
  Finish(kernels_, w.up, n, up);
  if (gated) Finish(kernels_, w.gate, n, gate);
  switch (config_.activation) {
    case Activation::kSilu:
      return gated ? kernels_.silu_mul(gate, up, n, up) : kernels_.silu_mul(up, nullptr, n, up);
    case Activation::kGelu:
      return gated ? kernels_.gelu_mul(gate, up, n, up) : kernels_.gelu_mul(up, nullptr, n, up);
    case Activation::kGeluErf:
      return gated ? kernels_.gelu_erf_mul(gate, up, n, up)
                   : kernels_.gelu_erf_mul(up, nullptr, n, up);
    case Activation::kClampedSilu:
      return kernels_.clamped_silu_mul(gate, up, n, up);
    case Activation::kReluSquared:
      return ReluSquared(n, up);
  }
}

// out = down * (act(gate * in) * (up * in)), or without a gate down * act(up * in), each network of
// its own rows. [rows][dim], and so is what goes in.
void Transformer::Expand(std::span<const NetworkRows> networks, const float* in, float* out,
                         Scratch& s, ThreadPool& pool) const {
  const size_t stride = s.ffn_stride_, width = networks[0].w->up.weight.rows;
  const size_t rows = networks.back().begin + networks.back().n;
  const std::span groups(s.groups_.data(), networks.size());
  bool finishes = false;
  for (size_t i = 0; i < networks.size(); ++i) {
    const auto [w, begin, n] = networks[i];
    MatMulJob* jobs = s.jobs_.data() + 2 * i;
    jobs[0] = {&w->up.weight, s.up_.data() + begin * stride, stride};
    jobs[1] = {&w->gate.weight, s.gate_.data() + begin * stride, stride};
    groups[i].in = {in + begin * s.dim_stride_, n, config_.dim, s.dim_stride_};
    groups[i].jobs = {jobs, w->gate.weight.rows != 0 ? size_t{2} : size_t{1}};
    std::fill_n(s.network_of_.begin() + static_cast<ptrdiff_t>(begin), n, w);
    finishes |= !IsPlain(w->down);
  }
  MatMul(kernels_, pool, groups, s.matmul_);
  ForEachRow(pool, rows, width, [&](size_t row) {
    Activate(*s.network_of_[row], s.gate_.data() + row * stride, s.up_.data() + row * stride);
  });
  for (size_t i = 0; i < networks.size(); ++i) {
    const auto [w, begin, n] = networks[i];
    MatMulJob* job = s.jobs_.data() + i;
    *job = {&w->down.weight, out + begin * s.dim_stride_, s.dim_stride_};
    groups[i] = {{s.up_.data() + begin * stride, n, width, stride}, {job, 1}};
  }
  MatMul(kernels_, pool, groups, s.matmul_);
  if (!finishes) return;
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    Finish(kernels_, s.network_of_[row]->down, config_.dim, out + row * s.dim_stride_);
  });
}

// Chooses each row's experts, and gives each expert consecutive slots for its rows, by a counting
// sort: if rows 0, 1 and 2 choose experts {2, 0}, {0, 1} and {2, 1}, expert 0 has slots 0 and 1
// (rows 0, 1), expert 1 slots 2 and 3 (rows 1, 2), and expert 2 slots 4 and 5 (rows 0, 2).
void Transformer::Route(const MixtureWeights& w, size_t rows, Scratch& s, ThreadPool& pool) const {
  const MixtureConfig& m = config_.mixture;
  const float* in = s.norm_.data();
  if (!w.router_norm.empty()) {
    in = s.expert_in_.data();
    ForEachRow(pool, rows, config_.dim, [&](size_t row) {
      kernels_.rms_norm(s.x_.data() + row * s.dim_stride_, w.router_norm.data(), config_.dim,
                        config_.norm_eps, s.expert_in_.data() + row * s.dim_stride_);
    });
  }
  const MatMulJob router[] = {{&w.router.weight, s.router_.data(), s.router_stride_}};
  MatMul(kernels_, pool, {in, rows, config_.dim, s.dim_stride_}, router, s.matmul_);
  FinishRows(kernels_, pool, w.router, s.router_.data(), s.router_stride_, rows);
  std::fill(s.expert_begin_.begin(), s.expert_begin_.end(), size_t{0});
  for (size_t row = 0; row < rows; ++row) {
    const std::span chosen(s.chosen_.data() + row * m.used, m.used);
    ChooseExperts(m, {s.router_.data() + row * s.router_stride_, m.experts}, w.choice_bias,
                  s.choice_, chosen);
    for (const ChosenExpert& c : chosen) ++s.expert_begin_[c.expert + 1];
  }
  // Counts become first slots: expert_begin_[e + 1] counted the rows of expert e.
  for (size_t e = 0; e < m.experts; ++e) s.expert_begin_[e + 1] += s.expert_begin_[e];
  std::copy_n(s.expert_begin_.begin(), m.experts, s.expert_next_.begin());
  for (size_t i = 0; i < rows * m.used; ++i) {
    const size_t slot = s.expert_next_[s.chosen_[i].expert]++;
    s.expert_slot_[i] = slot;
    s.expert_rows_[slot] = i / m.used;
  }
}

// shared = the network beside the experts, of norm
void Transformer::ExpandShared(const LayerWeights& w, size_t rows, Scratch& s,
                               ThreadPool& pool) const {
  if (w.mixture.shared_gate.rows != 0) {
    const MatMulJob gate[] = {{&w.mixture.shared_gate, s.shared_gate_.data(), kPanelRows}};
    MatMul(kernels_, pool, {s.norm_.data(), rows, config_.dim, s.dim_stride_}, gate, s.matmul_);
  }
  const NetworkRows all = {&w.dense, 0, rows};
  Expand({&all, 1}, s.norm_.data(), s.shared_.data(), s, pool);
}

// What experts from `first` on make of the rows that chose them: one, or as many as have
// kRowsTogether. Gives the next one. An expert's rows lie side by side, so that its weights are
// read once for all of them; what it makes of one row does not depend on the others.
size_t Transformer::ExpandExperts(const MixtureWeights& w, size_t first, Scratch& s,
                                  ThreadPool& pool) const {
  const size_t begin = s.expert_begin_[first];
  size_t last = first, count = 0;
  for (; last < config_.mixture.experts; ++last) {
    const size_t from = s.expert_begin_[last] - begin, to = s.expert_begin_[last + 1] - begin;
    if (count > 0 && to > std::min(kRowsTogether, s.max_rows_)) break;
    if (from < to) s.networks_[count++] = {&w.experts[last], from, to - from};
  }
  if (count == 0) return last;
  ForEachRow(pool, s.expert_begin_[last] - begin, config_.dim, [&](size_t i) {
    std::copy_n(s.norm_.data() + s.expert_rows_[begin + i] * s.dim_stride_, config_.dim,
                s.expert_in_.data() + i * s.dim_stride_);
  });
  Expand(std::span(s.networks_).first(count), s.expert_in_.data(),
         s.expert_out_.data() + begin * s.dim_stride_, s, pool);
  return last;
}

// norm = the weighted sum of what the chosen experts make of norm, the best first, and what the
// network beside them makes of it.
void Transformer::MixExperts(const LayerWeights& w, size_t rows, Scratch& s,
                             ThreadPool& pool) const {
  const MixtureWeights& m = w.mixture;
  const size_t used = config_.mixture.used;
  const bool shared = w.dense.up.weight.rows != 0;
  Route(m, rows, s, pool);
  if (shared) ExpandShared(w, rows, s, pool);
  if (!m.norm.weight.empty()) NormalizeRows(m.norm, rows, s, pool);
  for (size_t e = 0; e < config_.mixture.experts;) e = ExpandExperts(m, e, s, pool);
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    float* y = s.norm_.data() + row * s.dim_stride_;
    std::fill_n(y, config_.dim, 0.0f);
    for (size_t i = row * used; i < (row + 1) * used; ++i) {
      kernels_.add(s.expert_out_.data() + s.expert_slot_[i] * s.dim_stride_, s.chosen_[i].weight,
                   config_.dim, y);
    }
    if (!m.post_norm.weight.empty()) Normalize(m.post_norm, y, y);
    if (!shared) return;
    float* beside = s.shared_.data() + row * s.dim_stride_;
    if (!m.dense_post_norm.weight.empty()) Normalize(m.dense_post_norm, beside, beside);
    float gate = 1;
    if (m.shared_gate.rows != 0) {
      gate = static_cast<float>(DetSigmoid(s.shared_gate_[row * kPanelRows]));
    }
    kernels_.add(beside, gate, config_.dim, y);
  });
}

}  // namespace lockstep
