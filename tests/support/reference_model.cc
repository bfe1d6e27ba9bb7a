#include "tests/support/reference_model.h"

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

std::vector<double> ReferenceModel::Matrix::Times(const std::vector<double>& x) const {
  std::vector<double> y(rows, 0.0);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t k = 0; k < cols; ++k) y[r] += values[r * cols + k] * x[k];
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

std::vector<std::vector<double>> ReferenceModel::Forward(std::span<const int32_t> tokens) const {
  const ModelConfig& c = config_;
  const size_t n = tokens.size(), group = c.heads / c.kv_heads;
  std::vector<std::vector<double>> x(n);
  for (size_t t = 0; t < n; ++t) {
    const auto row = embedding_.values.begin() + static_cast<ptrdiff_t>(tokens[t] * c.dim);
    x[t].assign(row, row + static_cast<ptrdiff_t>(c.dim));
  }
  for (const Layer& layer : layers_) {
    std::vector<std::vector<double>> keys(n), values(n);
    for (size_t t = 0; t < n; ++t) {
      const std::vector<double> h = Norm(x[t], layer.attn_norm.values, c.norm_eps);
      std::vector<double> q = layer.q.Times(h);
      keys[t] = layer.k.Times(h);
      values[t] = layer.v.Times(h);
      Rotate(q, c.head_dim, c.rope_dim, c.rope_base, t);
      Rotate(keys[t], c.head_dim, c.rope_dim, c.rope_base, t);
      std::vector<double> attended(c.q_dim(), 0.0), weight(t + 1);
      for (size_t head = 0; head < c.heads; ++head) {
        const size_t from = head * c.head_dim, kv = head / group * c.head_dim;
        double total = 0;
        for (size_t p = 0; p <= t; ++p) {
          double dot = 0;
          for (size_t d = 0; d < c.head_dim; ++d) dot += q[from + d] * keys[p][kv + d];
          total += weight[p] = std::exp(dot / std::sqrt(static_cast<double>(c.head_dim)));
        }
        for (size_t p = 0; p <= t; ++p) {
          for (size_t d = 0; d < c.head_dim; ++d) {
            attended[from + d] += weight[p] / total * values[p][kv + d];
          }
        }
      }
      const std::vector<double> out = layer.o.Times(attended);
      for (size_t d = 0; d < c.dim; ++d) x[t][d] += out[d];
      const std::vector<double> f = Norm(x[t], layer.ffn_norm.values, c.norm_eps);
      std::vector<double> gate = layer.gate.Times(f);
      const std::vector<double> up = layer.up.Times(f);
      for (size_t i = 0; i < c.ffn_dim; ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
      const std::vector<double> down = layer.down.Times(gate);
      for (size_t d = 0; d < c.dim; ++d) x[t][d] += down[d];
    }
  }
  for (std::vector<double>& row : x) {
    row = output_.Times(Norm(row, output_norm_.values, c.norm_eps));
  }
  return x;
}

}  // namespace lockstep
