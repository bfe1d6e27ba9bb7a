#include "tests/support/reference_model.h"

#include <algorithm>
#include <cmath>

#include "tests/support/dequantize.h"

namespace lockstep {
namespace {

std::vector<double> Norm(const std::vector<double>& x, const std::vector<double>& w, double eps) {
  double squares = 0;
  for (double v : x) squares += v * v;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + eps);
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * scale * w[i];
  return y;
}

void Rotate(std::vector<double>& x, size_t head_dim, size_t rope_dim, double base,
            size_t position) {
  for (size_t head = 0; head < x.size(); head += head_dim) {
    for (size_t i = 0; i < rope_dim; i += 2) {
      const double angle = static_cast<double>(position) *
                           std::pow(base, -static_cast<double>(i) / static_cast<double>(rope_dim));
      const double a = x[head + i], b = x[head + i + 1];
      x[head + i] = a * std::cos(angle) - b * std::sin(angle);
      x[head + i + 1] = a * std::sin(angle) + b * std::cos(angle);
    }
  }
}

}  // namespace

ReferenceModel::Matrix ReferenceModel::Load(const GgufFile& file, const std::string& name) {
  const GgufTensor* tensor = file.FindTensor(name);
  Matrix m;
  if (tensor == nullptr) return m;
  m.rows = tensor->rows();
  m.cols = tensor->cols();
  m.values = Dequantize(tensor->dtype->id, tensor->data, m.rows * m.cols);
  return m;
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
      for (size_t i = 0; i < n; ++i) y[from + i][r] = sums[i];
    }
  }
  return y;
}

ReferenceModel::ReferenceModel(const GgufFile& file, const ModelConfig& config)
    : config_(config),
      embedding_(Load(file, "token_embd.weight")),
      output_norm_(Load(file, "output_norm.weight")),
      output_(Load(file, "output.weight")) {
  if (output_.values.empty()) output_ = embedding_;
  for (size_t i = 0; i < config.layers; ++i) {
    const std::string prefix = "blk." + std::to_string(i) + ".";
    const auto load = [&](const char* name) { return Load(file, prefix + name + ".weight"); };
    layers_.push_back({load("attn_norm"), load("attn_q"), load("attn_k"), load("attn_v"),
                       load("attn_output"), load("ffn_norm"), load("ffn_gate"), load("ffn_up"),
                       load("ffn_down")});
  }
}

// What each position of q takes from the values up to it.
ReferenceModel::Rows ReferenceModel::Attend(const Rows& q, const Rows& keys,
                                            const Rows& values) const {
  const ModelConfig& c = config_;
  const size_t group = c.heads / c.kv_heads;
  Rows attended(q.size(), std::vector<double>(c.q_dim()));
  for (size_t t = 0; t < q.size(); ++t) {
    std::vector<double> weight(t + 1);
    for (size_t head = 0; head < c.heads; ++head) {
      const size_t from = head * c.head_dim, kv = head / group * c.head_dim;
      double total = 0;
      for (size_t p = 0; p <= t; ++p) {
        double dot = 0;
        for (size_t d = 0; d < c.head_dim; ++d) dot += q[t][from + d] * keys[p][kv + d];
        total += weight[p] = std::exp(dot / std::sqrt(static_cast<double>(c.head_dim)));
      }
      for (size_t p = 0; p <= t; ++p) {
        for (size_t d = 0; d < c.head_dim; ++d) {
          attended[t][from + d] += weight[p] / total * values[p][kv + d];
        }
      }
    }
  }
  return attended;
}

ReferenceModel::Rows ReferenceModel::Forward(std::span<const int32_t> tokens) const {
  const ModelConfig& c = config_;
  const size_t n = tokens.size();
  Rows x(n);
  for (size_t t = 0; t < n; ++t) {
    const auto row = embedding_.values.begin() + static_cast<ptrdiff_t>(tokens[t] * c.dim);
    x[t].assign(row, row + static_cast<ptrdiff_t>(c.dim));
  }
  const auto norms = [&](const Matrix& w) {
    Rows y;
    for (const std::vector<double>& row : x) y.push_back(Norm(row, w.values, c.norm_eps));
    return y;
  };
  const auto add = [&](const Rows& y) {
    for (size_t t = 0; t < n; ++t) {
      for (size_t d = 0; d < c.dim; ++d) x[t][d] += y[t][d];
    }
  };
  for (const Layer& layer : layers_) {
    const Rows h = norms(layer.attn_norm);
    Rows q = layer.q.Times(h), keys = layer.k.Times(h);
    for (size_t t = 0; t < n; ++t) {
      Rotate(q[t], c.head_dim, c.rope_dim, c.rope_base, t);
      Rotate(keys[t], c.head_dim, c.rope_dim, c.rope_base, t);
    }
    add(layer.o.Times(Attend(q, keys, layer.v.Times(h))));

    const Rows f = norms(layer.ffn_norm);
    Rows gate = layer.gate.Times(f);
    const Rows up = layer.up.Times(f);
    for (size_t t = 0; t < n; ++t) {
      for (size_t i = 0; i < c.ffn_dim; ++i) gate[t][i] *= up[t][i] / (1 + std::exp(-gate[t][i]));
    }
    add(layer.down.Times(gate));
  }
  return output_.Times(norms(output_norm_));
}

}  // namespace lockstep
