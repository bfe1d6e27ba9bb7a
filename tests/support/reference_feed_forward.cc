// What a reference model's feed-forward networks compute, and its mixtures of experts; one class
// with reference_model.cc.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>

#include "tests/support/reference_model.h"

namespace lockstep {
namespace {

using Row = ReferenceModel::Row;

double Silu(double x) { return x / (1 + std::exp(-x)); }

double Gelu(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

double Activate(Activation kind, double up, std::optional<double> gate) {
  const double x = gate.value_or(up), by = gate ? up : 1;
  switch (kind) {
    case Activation::kSilu:
      return Silu(x) * by;
    case Activation::kGelu:
      return Gelu(x) * by;
    case Activation::kGeluErf:
      return 0.5 * x * std::erfc(-x * std::sqrt(0.5)) * by;
    case Activation::kReluSquared:
      return std::pow(std::max(x, 0.0), 2) * by;
    case Activation::kClampedSilu: {
      const double least = std::min(x, 7.0);
      return least / (1 + std::exp(-1.702 * least)) * (std::clamp(by, -7.0, 7.0) + 1);
    }
  }
  return NAN;
}

Row Softmax(const Row& x) {
  Row y;
  const double largest = *std::max_element(x.begin(), x.end());
  for (const double v : x) y.push_back(std::exp(v - largest));
  const double sum = std::accumulate(y.begin(), y.end(), 0.0);
  for (double& v : y) v /= sum;
  return y;
}

}  // namespace

ReferenceModel::Rows ReferenceModel::Expand(const FeedForward& w, const Rows& x) const {
  Rows up = w.up.Times(x);
  const Rows gate = w.gate.rows != 0 ? w.gate.Times(x) : Rows{};
  for (size_t t = 0; t < up.size(); ++t) {
    for (size_t i = 0; i < up[t].size(); ++i) {
      up[t][i] = Activate(config_.activation, up[t][i],
                          gate.empty() ? std::nullopt : std::optional(gate[t][i]));
    }
  }
  return w.down.Times(up);
}

// By the definition of each step: gates, choice among the best groups, weights.
std::vector<std::pair<size_t, double>> ReferenceModel::Choose(const Layer& w,
                                                              const Row& scores) const {
  const MixtureConfig& m = config_.mixture;
  Row gate = scores;
  if (m.gating == Gating::kSoftmax) gate = Softmax(scores);
  for (double& g : gate) {
    if (m.gating == Gating::kSigmoid) g = 1 / (1 + std::exp(-g));
    if (m.gating == Gating::kRootSoftplus) g = std::sqrt(std::log1p(std::exp(g)));
  }
  Row choice = gate;
  for (size_t i = 0; i < w.choice_bias.bias.size(); ++i) choice[i] += w.choice_bias.bias[i];
  const size_t size = m.experts / m.groups;
  std::vector<std::pair<double, size_t>> groups;
  for (size_t g = 0; g < m.groups; ++g) {
    const auto begin = choice.begin() + static_cast<ptrdiff_t>(g * size);
    Row members(begin, begin + static_cast<ptrdiff_t>(size));
    std::sort(members.rbegin(), members.rend());
    groups.emplace_back(-members[0] - (size > 1 ? members[1] : 0), g);
  }
  std::sort(groups.begin(), groups.end());
  std::vector<size_t> order;
  for (size_t g = 0; g < m.groups_used; ++g) {
    for (size_t i = 0; i < size; ++i) order.push_back(groups[g].second * size + i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return choice[a] != choice[b] ? choice[a] > choice[b] : a < b;
  });
  order.resize(m.used);
  Row weights;
  for (const size_t e : order) weights.push_back(gate[e]);
  if (m.gating == Gating::kSoftmaxOfChosen) weights = Softmax(weights);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::pair<size_t, double>> chosen;
  for (size_t i = 0; i < m.used; ++i) {
    const double by = m.normalize ? std::max(sum, std::ldexp(1, -14)) : 1;
    chosen.emplace_back(order[i], weights[i] / by * m.scale);
  }
  return chosen;
}

// x is the stream; what goes into the branch is its norm.
ReferenceModel::Rows ReferenceModel::Mix(const Layer& w, const Rows& x) const {
  const ModelConfig& c = config_;
  const Rows h = Norm(w.ffn_norm, x);
  Rows router_in = h;
  if (w.expert_norm.rows != 0) {
    router_in = PlainNorm(x);
    for (Row& row : router_in) {
      for (size_t d = 0; d < c.dim; ++d) {
        row[d] *= w.router_scale.values[d] / std::sqrt(static_cast<double>(c.dim));
      }
    }
  }
  const Rows in = w.expert_norm.rows != 0 ? Norm(w.expert_norm, x) : h;
  const Rows scores = w.router.Times(router_in);
  Rows y(x.size(), Row(c.dim));
  for (size_t t = 0; t < x.size(); ++t) {
    for (const auto& [expert, weight] : Choose(w, scores[t])) {
      const Rows part = Expand(w.experts[expert], {in[t]});
      for (size_t d = 0; d < c.dim; ++d) y[t][d] += weight * part[0][d];
    }
  }
  if (w.dense.up.rows == 0) return y;
  y = Norm(w.expert_post_norm, y);
  const Rows beside = Norm(w.dense_post_norm, Expand(w.dense, h));
  const Rows gates = w.shared_gate.rows != 0 ? w.shared_gate.Times(h) : Rows{};
  for (size_t t = 0; t < x.size(); ++t) {
    const double gate = gates.empty() ? 1 : 1 / (1 + std::exp(-gates[t][0]));
    for (size_t d = 0; d < c.dim; ++d) y[t][d] += gate * beside[t][d];
  }
  return y;
}

void ReferenceModel::AddLayerInput(const Layer& w, const Rows& input, Rows& x) const {
  Rows gate = w.input_gate.Times(x);
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t i = 0; i < gate[t].size(); ++i) gate[t][i] = Gelu(gate[t][i]) * input[t][i];
  }
  const Rows y = Norm(w.input_norm, w.input_project.Times(gate));
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t d = 0; d < y[t].size(); ++d) x[t][d] += y[t][d];
  }
}

}  // namespace lockstep
