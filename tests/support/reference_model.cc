#include "tests/support/reference_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "tests/support/dequantize.h"

namespace lockstep {
namespace {

using Row = ReferenceModel::Row;
using Rows = ReferenceModel::Rows;

double Silu(double x) { return x / (1 + std::exp(-x)); }

double Gelu(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

double SoftCap(double x, double cap) { return cap != 0 ? cap * std::tanh(x / cap) : x; }

void Add(const Rows& y, double scale, Rows& x) {
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t d = 0; d < x[t].size(); ++d) x[t][d] += scale * y[t][d];
  }
}

// Radians per position of pair i, before the factors of pairs.
double Frequency(const RopeConfig& c, size_t i, size_t dim) {
  const double plain = std::pow(c.base, -2 * static_cast<double>(i) / static_cast<double>(dim));
  if (c.scaling == RopeScaling::kLinear) return plain / c.factor;
  if (c.scaling != RopeScaling::kYarn) return plain;
  const auto pair_of = [&](double turns) {
    return static_cast<double>(dim) *
           std::log(c.original_context / (turns * 2 * std::numbers::pi)) / (2 * std::log(c.base));
  };
  const double low = std::max(0.0, std::floor(pair_of(c.beta_fast)));
  const double high = std::min(static_cast<double>(dim) - 1, std::ceil(pair_of(c.beta_slow)));
  const double slow =
      std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
  return plain * (1 - slow) + plain / c.factor * slow;
}

}  // namespace

ReferenceModel::Matrix ReferenceModel::Load(const std::string& name) const {
  Matrix m;
  if (const GgufTensor* tensor = file_.FindTensor(name + ".weight")) {
    m.rows = tensor->rows();
    m.cols = tensor->cols();
    m.values = Dequantize(tensor->type->id, tensor->data, m.rows * m.cols);
  }
  if (const GgufTensor* bias = file_.FindTensor(name + ".bias")) {
    m.bias = Dequantize(bias->type->id, bias->data, bias->cols());
  }
  return m;
}

ReferenceModel::Matrix ReferenceModel::Matrix::Part(size_t first, size_t count) const {
  const auto cut = [&](const Row& from, size_t width) {
    if (from.empty()) return Row{};
    const auto begin = from.begin() + static_cast<ptrdiff_t>(first * width);
    return Row(begin, begin + static_cast<ptrdiff_t>(count * width));
  };
  return {count, cols, cut(values, cols), cut(bias, 1)};
}

// Eight rows of x side by side: the compiler's vectors run across them, so that every sum is still
// made in the order of its columns.
ReferenceModel::Rows ReferenceModel::Matrix::Times(const Rows& x) const {
  constexpr size_t kLanes = 8;
  Rows y(x.size(), std::vector<double>(rows));
  std::vector<double> lanes(cols * kLanes, 0.0);  // [cols][kLanes]
  for (size_t from = 0; from < x.size(); from += kLanes) {
    const size_t n = std::min(kLanes, x.size() - from);
    for (size_t k = 0; k < cols; ++k) {
      for (size_t i = 0; i < n; ++i) lanes[k * kLanes + i] = x[from + i][k];
    }
    for (size_t r = 0; r < rows; ++r) {
      double sums[kLanes] = {};
      for (size_t k = 0; k < cols; ++k) {
        const double w = values[r * cols + k];
        for (size_t i = 0; i < kLanes; ++i) sums[i] += w * lanes[k * kLanes + i];
      }
      for (size_t i = 0; i < n; ++i) y[from + i][r] = sums[i] + (bias.empty() ? 0 : bias[r]);
    }
  }
  return y;
}

ReferenceModel::ReferenceModel(const GgufFile& file, const ModelConfig& config)
    : file_(file),
      config_(config),
      embedding_(Load("token_embd")),
      positions_(Load("position_embd")),
      output_norm_(Load("output_norm")),
      output_(Load("output")) {
  if (output_.values.empty()) output_ = embedding_;
  const bool longer = static_cast<double>(config.context) > config.rope.original_context;
  rope_factors_ = Load(longer ? "rope_factors_long" : "rope_factors_short").values;
  if (rope_factors_.empty()) rope_factors_ = Load("rope_freqs").values;
  for (size_t i = 0; i < config.layers; ++i) {
    layers_.push_back(LoadLayer("blk." + std::to_string(i) + "."));
  }
}

ReferenceModel::Layer ReferenceModel::LoadLayer(const std::string& prefix) const {
  const ModelConfig& c = config_;
  const auto load = [&](const char* name) { return Load(prefix + name); };
  Layer w;
  w.attn_norm = load("attn_norm"), w.attn_post_norm = load("post_attention_norm");
  w.q = load("attn_q"), w.k = load("attn_k"), w.v = load("attn_v"), w.o = load("attn_output");
  if (const Matrix qkv = load("attn_qkv"); qkv.rows != 0) {
    w.q = qkv.Part(0, c.q_dim());
    w.k = qkv.Part(c.q_dim(), c.kv_dim());
    w.v = qkv.Part(c.q_dim() + c.kv_dim(), c.kv_dim());
  }
  w.q_norm = load("attn_q_norm"), w.k_norm = load("attn_k_norm");
  w.ffn_norm = load("ffn_norm"), w.ffn_post_norm = load("post_ffw_norm");
  FeedForward dense = {load("ffn_gate"), load("ffn_up"), load("ffn_down")};
  if (dense.up.rows == 2 * c.ffn_dim) {
    dense.gate = dense.up.Part(0, c.ffn_dim);
    dense.up = dense.up.Part(c.ffn_dim, c.ffn_dim);
  }
  if (c.experts == 0) {
    w.ffn.push_back(std::move(dense));
    return w;
  }
  w.router = load("ffn_gate_inp");
  const Matrix gate = load("ffn_gate_exps"), up = load("ffn_up_exps"), down = load("ffn_down_exps");
  for (size_t e = 0; e < c.experts; ++e) {
    w.ffn.push_back({gate.Part(e * c.ffn_dim, c.ffn_dim), up.Part(e * c.ffn_dim, c.ffn_dim),
                     down.Part(e * c.dim, c.dim)});
  }
  return w;
}

ReferenceModel::Rows ReferenceModel::Norm(const Matrix& norm, const Rows& x) const {
  if (norm.values.empty()) return x;
  Rows y = x;
  for (Row& row : y) {
    const auto n = static_cast<double>(row.size());
    if (!norm.bias.empty()) {
      const double mean = std::accumulate(row.begin(), row.end(), 0.0) / n;
      for (double& v : row) v -= mean;
    }
    double squares = 0;
    for (const double v : row) squares += v * v;
    const double scale = 1 / std::sqrt(squares / n + config_.norm_eps);
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = row[i] * scale * norm.values[i] + (norm.bias.empty() ? 0 : norm.bias[i]);
    }
  }
  return y;
}

// A norm of the size of a head is of each head.
void ReferenceModel::NormHeads(const Matrix& norm, Rows& x) const {
  for (Row& row : x) {
    const size_t n = std::max<size_t>(1, norm.cols);
    for (size_t i = 0; !norm.values.empty() && i < row.size(); i += n) {
      const auto begin = row.begin() + static_cast<ptrdiff_t>(i);
      const Rows normed = Norm(norm, {Row(begin, begin + static_cast<ptrdiff_t>(n))});
      std::copy(normed[0].begin(), normed[0].end(), begin);
    }
  }
}

void ReferenceModel::Rotate(size_t layer, Rows& x) const {
  const ModelConfig& c = config_;
  if (!c.rotates(layer)) return;
  const bool local = c.has_window(layer);
  const RopeConfig& rope = local ? c.window_rope : c.rope;
  const bool factors = !rope_factors_.empty() && !(local && c.family->plain_window_rope);
  double magnitude = rope.magnitude;
  if (rope.scaling == RopeScaling::kYarn) magnitude *= 1 + 0.1 * std::log(rope.factor);
  const size_t half = c.rope_dim / 2;
  const bool adjacent = c.family->pairs == RopePairs::kAdjacent;
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t head = 0; head < x[t].size(); head += c.head_dim) {
      for (size_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(t) * Frequency(rope, i, c.rope_dim) /
                             (factors ? rope_factors_[i] : 1);
        double& first = x[t][head + (adjacent ? 2 * i : i)];
        double& second = x[t][head + (adjacent ? 2 * i + 1 : i + half)];
        const double a = first * magnitude, b = second * magnitude;
        first = a * std::cos(angle) - b * std::sin(angle);
        second = a * std::sin(angle) + b * std::cos(angle);
      }
    }
  }
}

// What each position of q takes from the values up to it, or from the last ones.
ReferenceModel::Rows ReferenceModel::Attend(size_t layer, const Rows& q, const Rows& keys,
                                            const Rows& values) const {
  const ModelConfig& c = config_;
  const size_t group = c.heads / c.kv_heads;
  Rows attended(q.size(), Row(c.q_dim()));
  for (size_t t = 0; t < q.size(); ++t) {
    const size_t begin = c.has_window(layer) && t + 1 > c.window ? t + 1 - c.window : 0;
    Row weight(t + 1);
    for (size_t head = 0; head < c.heads; ++head) {
      const size_t from = head * c.head_dim, kv = head / group * c.head_dim;
      double total = 0;
      for (size_t p = begin; p <= t; ++p) {
        double dot = 0;
        for (size_t d = 0; d < c.head_dim; ++d) dot += q[t][from + d] * keys[p][kv + d];
        total += weight[p] = std::exp(SoftCap(dot * c.attention_scale, c.attention_soft_cap));
      }
      for (size_t p = begin; p <= t; ++p) {
        for (size_t d = 0; d < c.head_dim; ++d) {
          attended[t][from + d] += weight[p] / total * values[p][kv + d];
        }
      }
    }
  }
  return attended;
}

ReferenceModel::Rows ReferenceModel::Attention(size_t layer, const Rows& x) const {
  const Layer& w = layers_[layer];
  const Rows h = Norm(w.attn_norm, x);
  Rows q = w.q.Times(h), k = w.k.Times(h);
  NormHeads(w.q_norm, q);
  NormHeads(w.k_norm, k);
  Rotate(layer, q);
  Rotate(layer, k);
  return Norm(w.attn_post_norm, w.o.Times(Attend(layer, q, k, w.v.Times(h))));
}

ReferenceModel::Rows ReferenceModel::Expand(const FeedForward& w, const Rows& x) const {
  const auto act = config_.family->activation == Activation::kGelu ? Gelu : Silu;
  Rows up = w.up.Times(x);
  const Rows gate = w.gate.rows != 0 ? w.gate.Times(x) : Rows{};
  for (size_t t = 0; t < up.size(); ++t) {
    for (size_t i = 0; i < up[t].size(); ++i) {
      up[t][i] = gate.empty() ? act(up[t][i]) : act(gate[t][i]) * up[t][i];
    }
  }
  return w.down.Times(up);
}

ReferenceModel::Rows ReferenceModel::Mix(const Layer& w, const Rows& x) const {
  const ModelConfig& c = config_;
  const Rows scores = w.router.Times(x);
  Rows y(x.size(), Row(c.dim));
  for (size_t t = 0; t < x.size(); ++t) {
    std::vector<size_t> order(c.experts);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores[t][a] > scores[t][b]; });
    double all = 0, used = 0;
    for (size_t i = 0; i < c.experts; ++i) {
      const double p = std::exp(scores[t][order[i]]);
      all += p;
      if (i < c.experts_used) used += p;
    }
    for (size_t i = 0; i < c.experts_used; ++i) {
      const double p = std::exp(scores[t][order[i]]) / (c.normalize_experts ? used : all);
      const Rows part = Expand(w.ffn[order[i]], {x[t]});
      for (size_t d = 0; d < c.dim; ++d) y[t][d] += p * c.expert_scale * part[0][d];
    }
  }
  return y;
}

ReferenceModel::Rows ReferenceModel::Forward(std::span<const int32_t> tokens) const {
  const ModelConfig& c = config_;
  Rows x;
  for (size_t t = 0; t < tokens.size(); ++t) {
    x.push_back(embedding_.Part(static_cast<size_t>(tokens[t]), 1).values);
    for (double& v : x[t]) v *= c.embedding_scale;
    for (size_t d = 0; d < c.dim && positions_.rows != 0; ++d) {
      x[t][d] += positions_.values[t * c.dim + d];
    }
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& w = layers_[i];
    const Rows attention = Attention(i, x);
    if (!c.parallel_residual) Add(attention, c.residual_scale, x);
    const Rows h = Norm(w.ffn_norm, x);
    Add(Norm(w.ffn_post_norm, c.experts != 0 ? Mix(w, h) : Expand(w.ffn[0], h)), c.residual_scale,
        x);
    if (c.parallel_residual) Add(attention, c.residual_scale, x);
  }
  Rows logits = output_.Times(Norm(output_norm_, x));
  for (Row& row : logits) {
    for (double& v : row) v = SoftCap(v * c.logit_scale, c.logit_soft_cap);
  }
  return logits;
}

}  // namespace lockstep
