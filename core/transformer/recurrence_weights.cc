// What files of one family have in one tensor others have in several; here they become alike, and
// the taps of a convolution lie as its kernel reads them: all channels of one position side by
// side.
#include "core/transformer/recurrence_weights.h"

#include <cstdint>
#include <initializer_list>

namespace lockstep {
namespace {

// [rows][cols] to [cols][rows]
void Transpose(size_t rows, size_t cols, std::vector<float>& values) {
  const std::vector<float> old = values;
  for (size_t i = 0; i < values.size(); ++i) values[i] = old[i % rows * cols + i / rows];
}

class RecurrentLoader {
 public:
  RecurrentLoader(TensorReader& tensors, const ModelConfig& config)
      : config_(config), tensors_(tensors) {}

  void Taps(const std::string& name, RecurrentWeights& w) {
    const RecurrenceSizes& r = config_.recurrence;
    tensors_.Vector(name, {r.taps, r.channels}, w.taps);
    Transpose(r.channels, r.taps, w.taps);
  }

  // All parts of a matrix, and the scale of them all.
  struct Part {
    Linear* to;
    size_t rows;
    const RowOrder* order =
        nullptr;  // as TensorReader has it: where given, the parts are scattered
  };
  void Matrix(const std::string& name, size_t cols, std::initializer_list<Part> parts) {
    std::vector<TensorReader::Part> rows;
    for (const Part& part : parts) {
      rows.push_back({&part.to->weight, part.rows, part.order, part.order != nullptr});
    }
    tensors_.Matrix(name + ".weight", cols, rows);
    float scale = 1;
    tensors_.Scale(name, scale);
    for (const Part& part : parts) part.to->scale = scale;
  }

  void ShortConvolution(const std::string& prefix, RecurrentWeights& w) {
    const size_t dim = config_.dim;
    Matrix(prefix + "shortconv.in_proj", dim, {{&w.in, dim}, {&w.gate, dim}, {&w.factor, dim}});
    Taps(prefix + "shortconv.conv.weight", w);
    Matrix(prefix + "shortconv.out_proj", dim, {{&w.out, dim}});
  }

  // One matrix makes the gates, then the values, keys and queries, and the steps. What belongs to
  // heads or groups of them is of two dimensions in files.
  void Mamba2(const std::string& prefix, RecurrentWeights& w) {
    const RecurrenceSizes& r = config_.recurrence;
    Matrix(prefix + "ssm_in", config_.dim,
           {{&w.gate, r.inner}, {&w.in, r.channels}, {&w.step, r.value_heads}});
    Taps(prefix + "ssm_conv1d.weight", w);
    tensors_.Vector(prefix + "ssm_conv1d.bias", r.channels, w.taps_bias);
    tensors_.Vector(prefix + "ssm_dt.bias", r.value_heads, w.step_bias);
    tensors_.Vector(prefix + "ssm_a", {1, r.value_heads}, w.rate);
    tensors_.Vector(prefix + "ssm_d", {1, r.value_heads}, w.skip);
    const std::string norm = prefix + "ssm_norm.weight";
    if (!config_.family->may_lack_state_norm || tensors_.Has(norm)) {
      tensors_.Vector(norm, {r.inner / r.key_heads, r.key_heads}, w.norm);
    }
    Matrix(prefix + "ssm_out", r.inner, {{&w.out, config_.dim}});
  }

  // Rows of a tensor that has `group` rows for each key head: of each group `count`, from `first`.
  RowOrder RowsOfGroups(size_t group, size_t first, size_t count) const {
    RowOrder order;
    for (size_t i = 0; i < config_.recurrence.key_heads * count; ++i) {
      order.push_back(static_cast<uint32_t>(i / count * group + first + i % count));
    }
    return order;
  }

  // What goes into a delta net, of which old files have the rows of a key head side by side: those
  // of its query, of its key, of its values and of their gates.
  void DeltaInput(const std::string& prefix, RecurrentWeights& w) {
    const RecurrenceSizes& r = config_.recurrence;
    if (!r.adjacent || !tensors_.Has(prefix + "ssm_in.weight")) {
      Matrix(prefix + "attn_qkv", config_.dim, {{&w.in, r.channels}});
      Matrix(prefix + "attn_gate", config_.dim, {{&w.gate, r.inner}});
      return;
    }
    const size_t n = r.head_dim, values = r.inner / r.key_heads, group = 2 * (n + values);
    RowOrder in = RowsOfGroups(group, 0, n);
    for (const RowOrder& rows : {RowsOfGroups(group, n, n), RowsOfGroups(group, 2 * n, values)}) {
      in.insert(in.end(), rows.begin(), rows.end());
    }
    const RowOrder gate = RowsOfGroups(group, 2 * n + values, values);
    Matrix(prefix + "ssm_in", config_.dim, {{&w.in, r.channels, &in}, {&w.gate, r.inner, &gate}});
  }

  void DeltaNet(const std::string& prefix, RecurrentWeights& w) {
    const ModelConfig& c = config_;
    const RecurrenceSizes& r = c.recurrence;
    DeltaInput(prefix, w);
    if (r.adjacent) {
      const size_t ratio = r.value_heads / r.key_heads;
      const RowOrder beta = RowsOfGroups(2 * ratio, 0, ratio);
      const RowOrder step = RowsOfGroups(2 * ratio, ratio, ratio);
      Matrix(prefix + "ssm_ba", c.dim,
             {{&w.beta, r.value_heads, &beta}, {&w.step, r.value_heads, &step}});
    } else {
      Matrix(prefix + "ssm_alpha", c.dim, {{&w.step, r.value_heads}});
      Matrix(prefix + "ssm_beta", c.dim, {{&w.beta, r.value_heads}});
    }
    Taps(prefix + "ssm_conv1d.weight", w);
    tensors_.Vector(prefix + "ssm_dt.bias", r.value_heads, w.step_bias);
    tensors_.Vector(prefix + "ssm_a", r.value_heads, w.rate);
    tensors_.Vector(prefix + "ssm_norm.weight", r.head_dim, w.norm);
    Matrix(prefix + "ssm_out", r.inner, {{&w.out, c.dim}});
  }

 private:
  const ModelConfig& config_;
  TensorReader& tensors_;
};

}  // namespace

void LoadRecurrent(TensorReader& tensors, const ModelConfig& config, const std::string& prefix,
                   RecurrentWeights& out) {
  RecurrentLoader loader(tensors, config);
  switch (config.family->recurrence) {
    case Recurrence::kNone:
      return;
    case Recurrence::kDeltaNet:
      return loader.DeltaNet(prefix, out);
    case Recurrence::kShortConvolution:
      return loader.ShortConvolution(prefix, out);
    case Recurrence::kMamba2:
      return loader.Mamba2(prefix, out);
  }
}

}  // namespace lockstep
