// Recurrent layers of the reference, token by token as the papers have them, and the gates of the
// layers that attend between them.
#include <cmath>
#include <utility>

#include "tests/support/dequantize.h"
#include "tests/support/reference_model.h"

namespace lockstep {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Silu(double x) { return x * Sigmoid(x); }

}  // namespace

// Each head has its query's values and then as many gates: takes those out of q.
ReferenceModel::Rows ReferenceModel::TakeGates(size_t head_dim, Rows& q) const {
  if (!config_.family->gated_attention) return {};
  Rows gates(q.size());
  for (size_t t = 0; t < q.size(); ++t) {
    const Row both = std::move(q[t]);
    q[t].clear();
    for (size_t i = 0; i < both.size(); ++i) {
      (i / head_dim % 2 == 0 ? q : gates)[t].push_back(both[i]);
    }
  }
  return gates;
}

ReferenceModel::Rows ReferenceModel::Gated(const Rows& gates, Rows attended) {
  for (size_t t = 0; t < gates.size(); ++t) {
    for (size_t i = 0; i < gates[t].size(); ++i) attended[t][i] *= Sigmoid(gates[t][i]);
  }
  return attended;
}

ReferenceModel::Rows ReferenceModel::MixPositions(size_t layer, const Rows& x,
                                                  std::vector<KeysAndValues>& kv) const {
  const LayerConfig& c = config_.layers[layer];
  if (!c.recurrent) return c.attends() ? Attention(layer, x, kv) : Rows(x.size());
  Rows y = Recur(layers_[layer], x);
  if (!c.attends()) return y;
  const Rows attention = Attention(layer, x, kv);
  for (size_t t = 0; t < y.size(); ++t) {
    for (size_t d = 0; d < y[t].size(); ++d) y[t][d] += attention[t][d];
  }
  return y;
}

ReferenceModel::Rows ReferenceModel::Recur(const Layer& w, const Rows& x) const {
  switch (config_.family->recurrence) {
    case Recurrence::kDeltaNet:
      return DeltaNet(w, x);
    case Recurrence::kShortConvolution:
      return ShortConvolution(w, x);
    case Recurrence::kMamba2:
      return Mamba2(w, x);
    case Recurrence::kNone:
      break;
  }
  return Rows(x.size());
}

// Files of qwen3next have the rows of each key head side by side.
void ReferenceModel::LoadRecurrent(const std::string& prefix, Layer& w) const {
  const RecurrenceSizes& r = config_.recurrence;
  const auto load = [&](const char* name) { return Load(prefix + name); };
  w.in = load("attn_qkv"), w.gate = load("attn_gate");
  w.alpha = load("ssm_alpha"), w.beta = load("ssm_beta"), w.dt = load("ssm_dt");
  w.taps = load("ssm_conv1d"), w.norm = load("ssm_norm"), w.out = load("ssm_out");
  w.a = load("ssm_a"), w.skip = load("ssm_d");
  const auto append = [](const Matrix& part, Matrix& to) {
    to.rows += part.rows, to.cols = part.cols;
    to.values.insert(to.values.end(), part.values.begin(), part.values.end());
  };
  if (const Matrix ba = load("ssm_ba"); ba.rows != 0) {
    const size_t ratio = r.value_heads / r.key_heads;
    for (size_t head = 0; head < r.key_heads; ++head) {
      append(ba.Part(2 * head * ratio, ratio), w.beta);
      append(ba.Part((2 * head + 1) * ratio, ratio), w.alpha);
    }
  }
  const Matrix all = load("ssm_in");
  if (config_.family->recurrence == Recurrence::kMamba2) {
    w.in = all;
  } else if (all.rows != 0) {
    const size_t n = r.head_dim, values = r.inner / r.key_heads, group = 2 * n + 2 * values;
    const std::pair<size_t, size_t> parts[] = {{0, n}, {n, n}, {2 * n, values}};
    for (const auto& [from, count] : parts) {
      for (size_t head = 0; head < r.key_heads; ++head) {
        append(all.Part(head * group + from, count), w.in);
      }
    }
    for (size_t head = 0; head < r.key_heads; ++head) {
      append(all.Part(head * group + 2 * n + values, values), w.gate);
    }
  }
  if (const Matrix in = load("shortconv.in_proj"); in.rows != 0) {
    w.in = in, w.taps = load("shortconv.conv"), w.out = load("shortconv.out_proj");
  }
}

// The state of a value head has a row for each of its values. In every step it fades, and what it
// says of the key comes nearer to the value.
ReferenceModel::Rows ReferenceModel::DeltaNet(const Layer& w, const Rows& x) const {
  const RecurrenceSizes& r = config_.recurrence;
  const size_t n = r.head_dim, keys = r.key_heads * n;
  const Rows h = Norm(w.attn_norm, x), in = w.in.Times(h), gate = w.gate.Times(h);
  const Rows alpha = w.alpha.Times(h), beta = w.beta.Times(h);
  std::vector<Rows> state(r.value_heads, Rows(n, Row(n)));
  Rows y(x.size(), Row(r.value_heads * n));
  for (size_t t = 0; t < x.size(); ++t) {
    Row u(in[t].size());
    for (size_t i = 0; i < u.size(); ++i) {
      for (size_t j = 0; j < r.taps && j <= t; ++j) {
        u[i] += w.taps.values[i * r.taps + r.taps - 1 - j] * in[t - j][i];
      }
      u[i] = Silu(u[i]);
    }
    const auto unit = [&](size_t from) {
      double squares = config_.norm_eps;
      for (size_t i = 0; i < n; ++i) squares += u[from + i] * u[from + i];
      Row head(n);
      for (size_t i = 0; i < n; ++i) head[i] = u[from + i] / std::sqrt(squares);
      return head;
    };
    for (size_t head = 0; head < r.value_heads; ++head) {
      const size_t key_head = r.key_head(head);
      const Row q = unit(key_head * n), k = unit(keys + key_head * n);
      const double fade =
          std::exp(w.a.values[head] * std::log1p(std::exp(alpha[t][head] + w.dt.bias[head])));
      Row out(n);
      for (size_t v = 0; v < n; ++v) {
        Row& row = state[head][v];
        double known = 0;
        for (size_t i = 0; i < n; ++i) known += (row[i] *= fade) * k[i];
        const double d = Sigmoid(beta[t][head]) * (u[2 * keys + head * n + v] - known);
        for (size_t i = 0; i < n; ++i) out[v] += (row[i] += d * k[i]) * q[i] / std::sqrt(n);
      }
      out = Norm(w.norm, {out})[0];
      for (size_t v = 0; v < n; ++v) y[t][head * n + v] = out[v] * Silu(gate[t][head * n + v]);
    }
  }
  return w.out.Times(y);
}

ReferenceModel::Rows ReferenceModel::ShortConvolution(const Layer& w, const Rows& x) const {
  const size_t n = config_.dim, taps = config_.recurrence.taps;
  const Rows in = w.in.Times(Norm(w.attn_norm, x));
  Rows y(x.size(), Row(n));
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (size_t j = 0; j < taps && j <= t; ++j) {
        sum += w.taps.values[i * taps + taps - 1 - j] * in[t - j][i] * in[t - j][2 * n + i];
      }
      y[t][i] = sum * in[t][n + i];
    }
  }
  return w.out.Times(y);
}

// The state of a head has a row for each of its values, which fades in every step; heads of a group
// share what is written by and read by. One matrix makes the gates, values, keys, queries and
// steps.
ReferenceModel::Rows ReferenceModel::Mamba2(const Layer& w, const Rows& x) const {
  const RecurrenceSizes& r = config_.recurrence;
  const size_t heads = r.value_heads, groups = r.key_heads, n = r.keys, inner = w.out.cols;
  const size_t values = inner / heads, channels = inner + 2 * groups * n;
  const Rows in = w.in.Times(Norm(w.attn_norm, x));
  std::vector<Rows> state(heads, Rows(values, Row(n)));
  Rows y(x.size(), Row(inner));
  for (size_t t = 0; t < x.size(); ++t) {
    Row u = w.taps.bias;
    for (size_t i = 0; i < channels; ++i) {
      for (size_t j = 0; j < r.taps && j <= t; ++j) {
        u[i] += w.taps.values[i * r.taps + r.taps - 1 - j] * in[t - j][inner + i];
      }
      u[i] = Silu(u[i]);
    }
    for (size_t i = 0; i < inner; ++i) {
      const size_t head = i / values, group = head / (heads / groups);
      const double step = std::log1p(std::exp(in[t][inner + channels + head] + w.dt.bias[head]));
      Row& row = state[head][i % values];
      double out = w.skip.values[head] * u[i];
      for (size_t k = 0; k < n; ++k) {
        row[k] =
            std::exp(step * w.a.values[head]) * row[k] + step * u[i] * u[inner + group * n + k];
        out += row[k] * u[inner + (groups + group) * n + k];
      }
      y[t][i] = out * Silu(in[t][i]);
    }
    const size_t size = inner / groups;
    for (size_t from = 0; !w.norm.values.empty() && from < inner; from += size) {
      double squares = 0;
      for (size_t i = from; i < from + size; ++i) squares += y[t][i] * y[t][i];
      const double scale = 1 / std::sqrt(squares / static_cast<double>(size) + config_.norm_eps);
      for (size_t i = from; i < from + size; ++i) y[t][i] *= scale * w.norm.values[i];
    }
  }
  return w.out.Times(y);
}

}  // namespace lockstep
