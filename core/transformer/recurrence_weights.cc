// What files of one family have in one tensor others have in several; here they become alike, and
// the taps of a convolution lie as its kernel reads them: all channels of one position side by
// side.
#include "core/transformer/recurrence_weights.h"

#include <cstdint>

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

  void ShortConvolution(const std::string& prefix, RecurrentWeights& w) {
    const size_t dim = config_.dim;
    tensors_.Matrix(prefix + "shortconv.in_proj.weight", dim,
                    {{&w.in, dim}, {&w.gate, dim}, {&w.factor, dim}});
    Taps(prefix + "shortconv.conv.weight", w);
    tensors_.Matrix(prefix + "shortconv.out_proj.weight", dim, dim, w.out);
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
    const std::string fused = prefix + "ssm_in.weight";
    if (!r.adjacent || !tensors_.Has(fused)) {
      tensors_.Matrix(prefix + "attn_qkv.weight", r.channels, config_.dim, w.in);
      tensors_.Matrix(prefix + "attn_gate.weight", r.inner, config_.dim, w.gate);
      return;
    }
    const size_t n = r.head_dim, values = r.inner / r.key_heads, group = 2 * (n + values);
    RowOrder in = RowsOfGroups(group, 0, n);
    for (const RowOrder& rows : {RowsOfGroups(group, n, n), RowsOfGroups(group, 2 * n, values)}) {
      in.insert(in.end(), rows.begin(), rows.end());
    }
    const RowOrder gate = RowsOfGroups(group, 2 * n + values, values);
    tensors_.Matrix(fused, config_.dim,
                    {{&w.in, r.channels, &in, true}, {&w.gate, r.inner, &gate, true}});
  }

  void DeltaNet(const std::string& prefix, RecurrentWeights& w) {
    const ModelConfig& c = config_;
    const RecurrenceSizes& r = c.recurrence;
    DeltaInput(prefix, w);
    if (r.adjacent) {
      const size_t ratio = r.value_heads / r.key_heads;
      const RowOrder beta = RowsOfGroups(2 * ratio, 0, ratio);
      const RowOrder step = RowsOfGroups(2 * ratio, ratio, ratio);
      tensors_.Matrix(
          prefix + "ssm_ba.weight", c.dim,
          {{&w.beta, r.value_heads, &beta, true}, {&w.step, r.value_heads, &step, true}});
    } else {
      tensors_.Matrix(prefix + "ssm_alpha.weight", r.value_heads, c.dim, w.step);
      tensors_.Matrix(prefix + "ssm_beta.weight", r.value_heads, c.dim, w.beta);
    }
    Taps(prefix + "ssm_conv1d.weight", w);
    tensors_.Vector(prefix + "ssm_dt.bias", r.value_heads, w.step_bias);
    tensors_.Vector(prefix + "ssm_a", r.value_heads, w.rate);
    tensors_.Vector(prefix + "ssm_norm.weight", r.head_dim, w.norm);
    tensors_.Matrix(prefix + "ssm_out.weight", c.dim, r.inner, w.out);
  }

 private:
  const ModelConfig& config_;
  TensorReader& tensors_;
};

}  // namespace

void LoadRecurrent(TensorReader& tensors, const ModelConfig& config, const std::string& prefix,
                   RecurrentWeights& out) {
  RecurrentLoader loader(tensors, config);
  config.family->recurrence == Recurrence::kShortConvolution ? loader.ShortConvolution(prefix, out)
                                                             : loader.DeltaNet(prefix, out);
}

}  // namespace lockstep
