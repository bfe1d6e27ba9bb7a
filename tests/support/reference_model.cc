#include "tests/support/reference_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace lockstep {
namespace {

using Row = ReferenceModel::Row;
using Rows = ReferenceModel::Rows;

// ALiBi's: of a power of two of heads 2^(-8/n), 2^(-16/n), ...; beyond them every other one of
// twice as many.
double Slope(size_t head, size_t heads) {
  size_t power = 1;
  while (2 * power <= heads) power *= 2;
  if (head < power)
    return std::pow(2.0, -8.0 * static_cast<double>(head + 1) / static_cast<double>(power));
  return std::pow(
      2.0, -8.0 * static_cast<double>(2 * (head - power) + 1) / static_cast<double>(2 * power));
}

double SoftCap(double x, double cap) { return cap != 0 ? cap * std::tanh(x / cap) : x; }

void Add(const Rows& y, double scale, Rows& x) {
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t d = 0; d < y[t].size(); ++d) x[t][d] += scale * y[t][d];
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

// Eight rows of x side by side: the compiler's vectors run across them, so that every sum is still
// made in the order of its columns.
ReferenceModel::Rows ReferenceModel::Matrix::Times(const Rows& x) const {
  constexpr size_t kTogether = 8;
  Rows y(x.size(), std::vector<double>(rows));
  std::vector<double> lanes(cols * kTogether, 0.0);  // [cols][kTogether]
  for (size_t from = 0; from < x.size(); from += kTogether) {
    const size_t n = std::min(kTogether, x.size() - from);
    for (size_t k = 0; k < cols; ++k) {
      for (size_t i = 0; i < n; ++i) lanes[k * kTogether + i] = x[from + i][k];
    }
    for (size_t r = 0; r < rows; ++r) {
      double sums[kTogether] = {};
      for (size_t k = 0; k < cols; ++k) {
        const double w = values[r * cols + k];
        for (size_t i = 0; i < kTogether; ++i) sums[i] += w * lanes[k * kTogether + i];
      }
      for (size_t i = 0; i < n; ++i) y[from + i][r] = sums[i] + (bias.empty() ? 0 : bias[r]);
    }
  }
  return y;
}

ReferenceModel::Rows ReferenceModel::Norm(const Matrix& norm, const Rows& x) const {
  if (norm.values.empty()) return x;
  Rows y = x;
  for (Row& row : y) {
    const auto n = static_cast<double>(row.size());
    if (config_.family->norm == NormKind::kLayer) {
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

ReferenceModel::Rows ReferenceModel::PlainNorm(const Rows& x) const {
  Matrix ones = {1, x[0].size(), Row(x[0].size(), 1.0), {}};
  return Norm(ones, x);
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

void ReferenceModel::Rotate(size_t layer, size_t size, size_t from, Rows& x) const {
  const ModelConfig& c = config_;
  const size_t dim = c.layers[layer].rope_dim, half = dim / 2;
  if (dim == 0) return;
  const bool local = c.layers[layer].window;
  const RopeConfig& rope = local ? c.window_rope : c.rope;
  const bool factors = !rope_factors_.empty() && !(local && c.family->plain_window_rope);
  double magnitude = rope.magnitude;
  if (rope.scaling == RopeScaling::kYarn) {
    const double ln = 0.1 * std::log(rope.factor), m = rope.log_multiplier;
    // DeepSeek-V2 takes the temperature out again where the file has a multiplier.
    const bool taken_out = c.architecture == "deepseek2" && m != 0;
    magnitude *= taken_out ? 1 : (1 + ln) / (1 + m * ln);
  }
  const bool adjacent = c.family->pairs == RopePairs::kAdjacent;
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t head = from; head < x[t].size(); head += size) {
      for (size_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(t) * Frequency(rope, i, dim) / (factors ? rope_factors_[i] : 1);
        double& first = x[t][head + (adjacent ? 2 * i : i)];
        double& second = x[t][head + (adjacent ? 2 * i + 1 : i + half)];
        const double a = first * magnitude, b = second * magnitude;
        first = a * std::cos(angle) - b * std::sin(angle);
        second = a * std::sin(angle) + b * std::cos(angle);
      }
    }
  }
}

void ReferenceModel::ScaleQueries(Rows& q) const {
  for (size_t t = 0; t < q.size(); ++t) {
    const double stretched = std::floor(static_cast<double>(t) / config_.query_length);
    for (double& v : q[t]) v *= 1 + config_.query_slope * std::log(1 + stretched);
  }
}

ReferenceModel::Rows ReferenceModel::Attend(size_t layer, const Rows& q, const KeysAndValues& kv,
                                            const HeadShape& head, size_t kv_heads) const {
  const ModelConfig& c = config_;
  const LayerConfig& l = c.layers[layer];
  const size_t group = l.heads / kv_heads;
  const Row& sinks = layers_[layer].sinks.values;
  Rows attended(q.size(), Row(l.heads * head.value));
  for (size_t t = 0; t < q.size(); ++t) {
    size_t begin = l.window && t + 1 > c.window ? t + 1 - c.window : 0, end = t + 1;
    if (c.both_ways) {
      const size_t half = l.window ? c.window / 2 : q.size();
      begin = t > half ? t - half : 0, end = std::min(q.size(), t + half + 1);
    }
    Row weight(end);
    for (size_t h = 0; h < l.heads; ++h) {
      const size_t from = h * head.key, key = h / group * head.key, value = h / group * head.value;
      double total = sinks.empty() ? 0 : std::exp(sinks[h]);
      for (size_t p = begin; p < end; ++p) {
        double dot = 0;
        for (size_t d = 0; d < head.key; ++d) dot += q[t][from + d] * kv.keys[p][key + d];
        dot *= c.attention_scale;
        if (c.family->distance_slopes) {
          const double away = std::abs(static_cast<double>(p) - static_cast<double>(t));
          dot -= Slope(h, l.heads) * away;
        }
        total += weight[p] = std::exp(SoftCap(dot, c.attention_soft_cap));
      }
      for (size_t p = begin; p < end; ++p) {
        for (size_t d = 0; d < head.value; ++d) {
          attended[t][h * head.value + d] += weight[p] / total * kv.values[p][value + d];
        }
      }
    }
  }
  return attended;
}

ReferenceModel::Rows ReferenceModel::Attention(size_t layer, const Rows& x,
                                               std::vector<KeysAndValues>& kv) const {
  if (config_.family->latent) return LatentAttention(layer, x);
  const Layer& w = layers_[layer];
  const LayerConfig& c = config_.layers[layer];
  const Rows h = Norm(w.attn_norm, x);
  const auto finish = [&](const Matrix& norm, Rows& y) {
    if (!config_.family->qk_norm_last) NormHeads(norm, y);
    Rotate(layer, c.head.key, 0, y);
    if (config_.family->qk_norm_last) NormHeads(norm, y);
  };
  Rows q = w.q.Times(h), gates = TakeGates(c.head.key, q);
  finish(w.q_norm, q);
  ScaleQueries(q);
  if (c.kv_layer == layer) {
    Rows k = w.k.Times(h), v = w.v.rows != 0 ? w.v.Times(h) : k;
    finish(w.k_norm, k);
    if (config_.family->value_norm) {
      NormHeads({1, c.head.value, Row(c.head.value, 1.0), {}}, v);
    }
    kv[layer] = {k, v};
  }
  const Rows attended = Gated(gates, Attend(layer, q, kv[c.kv_layer], c.head, c.kv_heads));
  return Norm(w.attn_post_norm, w.o.Times(attended));
}

// As it is defined: every head has its keys and values, made from the short vector.
ReferenceModel::Rows ReferenceModel::LatentAttention(size_t layer, const Rows& x) const {
  const Layer& w = layers_[layer];
  const LatentConfig& l = config_.latent;
  const size_t heads = config_.layers[layer].heads, size = l.plain + l.rope;
  const Rows h = Norm(w.attn_norm, x);
  Rows q = w.q_down.rows != 0 ? w.q.Times(Norm(w.q_down_norm, w.q_down.Times(h))) : w.q.Times(h);
  Rotate(layer, size, l.plain, q);
  ScaleQueries(q);
  Rows down = w.kv_down.Times(h), vectors, turned;
  for (const Row& row : down) {
    const auto end = row.begin() + static_cast<ptrdiff_t>(l.rank);
    vectors.emplace_back(row.begin(), end);
    turned.emplace_back(end, row.end());
  }
  vectors = Norm(w.kv_down_norm, vectors);
  Rotate(layer, l.rope, 0, turned);
  KeysAndValues kv = {Rows(x.size()), Rows(x.size())};
  for (size_t head = 0; head < heads; ++head) {
    const Rows keys = w.key_up[head].Times(vectors), values = w.value_up[head].Times(vectors);
    for (size_t t = 0; t < x.size(); ++t) {
      kv.keys[t].insert(kv.keys[t].end(), keys[t].begin(), keys[t].end());
      kv.keys[t].insert(kv.keys[t].end(), turned[t].begin(), turned[t].end());
      kv.values[t].insert(kv.values[t].end(), values[t].begin(), values[t].end());
    }
  }
  return w.o.Times(Attend(layer, q, kv, {.key = size, .value = l.value}, heads));
}

// [layers][tokens][layer_input_dim]
std::vector<Rows> ReferenceModel::LayerInputs(std::span<const int32_t> tokens,
                                              const Rows& x) const {
  const size_t n = config_.layer_input_dim;
  std::vector<Rows> inputs(config_.layers.size());
  if (n == 0) return inputs;
  Rows projected = layer_project_.Times(x);
  for (size_t t = 0; t < tokens.size(); ++t) {
    for (double& v : projected[t]) v /= std::sqrt(static_cast<double>(config_.dim));
    const bool embeds = layer_embedding_.rows != 0;
    const Row own =
        embeds ? layer_embedding_.Part(static_cast<size_t>(tokens[t]), 1).values : Row{};
    for (size_t layer = 0; layer < inputs.size(); ++layer) {
      const auto begin = projected[t].begin() + static_cast<ptrdiff_t>(layer * n);
      Row part = Norm(layer_project_norm_, {Row(begin, begin + static_cast<ptrdiff_t>(n))})[0];
      for (size_t i = 0; i < n && embeds; ++i) {
        part[i] = (part[i] + std::sqrt(static_cast<double>(n)) * own[layer * n + i]) / std::sqrt(2);
      }
      inputs[layer].push_back(part);
    }
  }
  return inputs;
}

ReferenceModel::Rows ReferenceModel::Layers(std::span<const int32_t> tokens, size_t second) const {
  const ModelConfig& c = config_;
  Rows x;
  for (size_t t = 0; t < tokens.size(); ++t) {
    x.push_back(embedding_.Part(static_cast<size_t>(tokens[t]), 1).values);
    for (double& v : x[t]) v *= c.embedding_scale;
    for (size_t d = 0; d < c.dim && positions_.rows != 0; ++d) {
      x[t][d] += positions_.values[t * c.dim + d];
    }
    const size_t type = t >= second ? token_types_.rows - 1 : 0;
    for (size_t d = 0; d < c.dim && token_types_.rows != 0; ++d) {
      x[t][d] += token_types_.values[type * c.dim + d];
    }
  }
  if (c.family->embedding_norm) x = Norm(embedding_norm_, x);
  const std::vector<Rows> inputs = LayerInputs(tokens, x);
  std::vector<KeysAndValues> kv(layers_.size());
  for (size_t i = 0; i < layers_.size(); ++i) PassLayer(i, inputs[i], kv, x);
  return Norm(output_norm_, x);
}

void ReferenceModel::PassLayer(size_t i, const Rows& input, std::vector<KeysAndValues>& kv,
                               Rows& x) const {
  const ModelConfig& c = config_;
  const Layer& w = layers_[i];
  const Rows attention = MixPositions(i, x, kv);
  const Rows before = x;
  if (!c.parallel_residual) Add(attention, c.residual_scale, x);
  x = Norm(w.attn_stream_norm, x);
  if (w.attn_second_norm.rows != 0) {
    Add(before, 1, x);
    x = Norm(w.attn_second_norm, x);
  }
  const bool experts = c.layers[i].experts;
  const Rows branch = experts ? Mix(w, x) : Expand(w.dense, Norm(w.ffn_norm, x));
  Add(Norm(w.ffn_post_norm, branch), c.residual_scale, x);
  if (c.parallel_residual) Add(attention, c.residual_scale, x);
  x = Norm(w.ffn_stream_norm, x);
  if (c.layer_input_dim != 0) AddLayerInput(w, input, x);
  for (Row& row : x) {
    for (double& v : row) v *= w.output_scale.rows != 0 ? w.output_scale.values[0] : 1;
  }
}

ReferenceModel::Rows ReferenceModel::Forward(std::span<const int32_t> tokens) const {
  const ModelConfig& c = config_;
  Rows logits = output_.Times(Layers(tokens));
  for (Row& row : logits) {
    for (double& v : row) v = SoftCap(v * c.logit_scale, c.logit_soft_cap);
  }
  return logits;
}

}  // namespace lockstep
