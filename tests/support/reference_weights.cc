// How a reference model gets its matrices; one class with reference_model.cc.
#include <string>
#include <utility>

#include "tests/support/dequantize.h"
#include "tests/support/reference_model.h"

namespace lockstep {

ReferenceModel::Matrix ReferenceModel::Load(const std::string& name) const {
  Matrix m;
  const auto values = [&](const char* part) {
    const GgufTensor* tensor = file_.FindTensor(name + part);
    return tensor != nullptr
               ? Dequantize(tensor->type->id, tensor->data, tensor->rows() * tensor->cols())
               : Row{};
  };
  for (const char* end : {".weight", ""}) {
    const GgufTensor* tensor = file_.FindTensor(name + end);
    if (tensor == nullptr) continue;
    m.rows = tensor->rows();
    m.cols = tensor->cols();
    m.values = values(end);
    break;
  }
  m.bias = values(".bias");
  // One for the matrix, or one for each of several that are stacked.
  const Row scales = values(".scale");
  for (size_t i = 0; !scales.empty() && scales.size() <= m.rows && i < m.values.size(); ++i) {
    m.values[i] *= scales[i / (m.values.size() / scales.size())];
  }
  return m;
}

ReferenceModel::Matrix ReferenceModel::Matrix::Part(size_t first, size_t count) const {
  if (rows == 0) return {};
  const auto cut = [&](const Row& from, size_t width) {
    if (from.empty()) return Row{};
    const auto begin = from.begin() + static_cast<ptrdiff_t>(first * width);
    return Row(begin, begin + static_cast<ptrdiff_t>(count * width));
  };
  return {count, cols, cut(values, cols), cut(bias, 1)};
}

ReferenceModel::ReferenceModel(const GgufFile& file, const ModelConfig& config)
    : file_(file),
      config_(config),
      token_types_(Load("token_types")),
      embedding_norm_(Load("token_embd_norm")),
      embedding_(Load("token_embd")),
      positions_(Load("position_embd")),
      output_norm_(config.family->output_norm != nullptr ? Load(config.family->output_norm)
                                                         : Matrix{}),
      output_(Load("output")),
      layer_embedding_(Load("per_layer_token_embd")),
      layer_project_(Load("per_layer_model_proj")),
      layer_project_norm_(Load("per_layer_proj_norm")) {
  if (output_.values.empty()) output_ = embedding_;
  const bool longer = static_cast<double>(config.context) > config.rope.original_context;
  rope_factors_ = Load(longer ? "rope_factors_long" : "rope_factors_short").values;
  if (rope_factors_.empty()) rope_factors_ = Load("rope_freqs").values;
  for (size_t i = 0; i < config.layers.size(); ++i) layers_.push_back(LoadLayer(i));
}

ReferenceModel::Layer ReferenceModel::LoadLayer(size_t layer) const {
  const LayerConfig& c = config_.layers[layer];
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  const auto load = [&](const std::string& name) { return Load(prefix + name); };
  Layer w;
  w.attn_norm = load("attn_norm"), w.attn_post_norm = load("post_attention_norm");
  if (config_.family->stream_norm) {
    w.attn_stream_norm = load("attn_output_norm"), w.ffn_stream_norm = load("layer_output_norm");
    w.attn_second_norm = load("attn_norm_2");
  }
  w.q = load("attn_q"), w.k = load("attn_k"), w.v = load("attn_v"), w.o = load("attn_output");
  if (c.recurrent) LoadRecurrent(prefix, w);
  if (const Matrix qkv = load("attn_qkv"); c.attends() && qkv.rows != 0) {
    const size_t q = qkv.rows - c.k_dim() - c.v_dim();
    w.q = qkv.Part(0, q);
    w.k = qkv.Part(q, c.k_dim());
    w.v = qkv.Part(q + c.k_dim(), c.v_dim());
  }
  w.q_norm = load("attn_q_norm"), w.k_norm = load("attn_k_norm"), w.sinks = load("attn_sinks");
  if (config_.family->latent) LoadLatent(prefix, layer, w);
  w.ffn_norm =
      load(config_.family->ffn_norm == std::string("attn_norm") ? "attn_norm" : "ffn_norm");
  w.ffn_post_norm = load("post_ffw_norm");
  // Where there is none, the norm after attention is that before the feed-forward network.
  if (w.ffn_norm.rows == 0 && w.attn_norm.rows != 0) std::swap(w.ffn_norm, w.attn_post_norm);
  const std::string shared = c.experts && load("ffn_up_shexp").rows != 0 ? "_shexp" : "";
  w.dense = {load("ffn_gate" + shared), load("ffn_up" + shared), load("ffn_down" + shared)};
  if (w.dense.down.cols != 0 && w.dense.up.rows == 2 * w.dense.down.cols) {
    w.dense.gate = w.dense.up.Part(0, w.dense.down.cols);
    w.dense.up = w.dense.up.Part(w.dense.down.cols, w.dense.down.cols);
  }
  if (c.experts) LoadExperts(prefix, w);
  w.input_gate = load("inp_gate"), w.input_project = load("proj"), w.input_norm = load("post_norm");
  w.output_scale = load("layer_output_scale");
  return w;
}

void ReferenceModel::LoadExperts(const std::string& prefix, Layer& w) const {
  const auto load = [&](const char* name) { return Load(prefix + name); };
  const size_t experts = config_.mixture.experts, ffn = config_.mixture.ffn_dim;
  w.router = load("ffn_gate_inp"), w.choice_bias = load("exp_probs_b");
  w.shared_gate = load("ffn_gate_inp_shexp");
  w.expert_norm = load("pre_ffw_norm_2"), w.expert_post_norm = load("post_ffw_norm_2");
  w.dense_post_norm = load("post_ffw_norm_1");
  if (w.expert_norm.rows != 0) {
    const GgufTensor* tensor = file_.FindTensor(prefix + "ffn_gate_inp.scale");
    w.router_scale.values = Dequantize(tensor->type->id, tensor->data, tensor->cols());
  }
  const Matrix gate = load("ffn_gate_exps"), up = load("ffn_up_exps"), down = load("ffn_down_exps");
  const Matrix both = load("ffn_gate_up_exps");
  for (size_t e = 0; e < experts; ++e) {
    const Matrix out = down.Part(e * config_.dim, config_.dim);
    if (both.rows != 0) {
      w.experts.push_back({both.Part(2 * e * ffn, ffn), both.Part((2 * e + 1) * ffn, ffn), out});
    } else {
      w.experts.push_back({gate.Part(e * ffn, ffn), up.Part(e * ffn, ffn), out});
    }
  }
}

// Both forms of files become, of each head, what makes its key's plain part and its value of the
// short vector.
void ReferenceModel::LoadLatent(const std::string& prefix, size_t layer, Layer& w) const {
  const LatentConfig& l = config_.latent;
  w.q_down = Load(prefix + "attn_q_a"), w.q_down_norm = Load(prefix + "attn_q_a_norm");
  if (w.q_down.rows != 0) w.q = Load(prefix + "attn_q_b");
  w.kv_down = Load(prefix + "attn_kv_a_mqa"), w.kv_down_norm = Load(prefix + "attn_kv_a_norm");
  const Matrix both = Load(prefix + "attn_kv_b"), keys = Load(prefix + "attn_k_b");
  const Matrix values = Load(prefix + "attn_v_b");
  for (size_t h = 0; h < config_.layers[layer].heads; ++h) {
    if (both.rows != 0) {
      const size_t first = h * (l.plain + l.value);
      w.key_up.push_back(both.Part(first, l.plain));
      w.value_up.push_back(both.Part(first + l.plain, l.value));
      continue;
    }
    const Matrix turned = keys.Part(h * l.rank, l.rank);  // [rank][plain]
    Matrix key = {l.plain, l.rank, Row(l.plain * l.rank), {}};
    for (size_t r = 0; r < l.rank; ++r) {
      for (size_t j = 0; j < l.plain; ++j) {
        key.values[j * l.rank + r] = turned.values[r * l.plain + j];
      }
    }
    w.key_up.push_back(key);
    w.value_up.push_back(values.Part(h * l.value, l.value));
  }
}

}  // namespace lockstep
