#include "tests/support/tiny_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/transformer/architectures.h"
#include "tests/support/random.h"
#include "tests/support/tiny_parts.h"

namespace lockstep {
namespace {

class Maker {
 public:
  explicit Maker(const TinyModelOptions& options)
      : o_(options), family_(*FindArchitecture(options.architecture)), random_(options.seed) {}

  GgufBuilder Make() {
    Metadata();
    SetTokenizer(file_, o_.vocab);
    // A scaled embedding is that much smaller, so that what the layers add still counts.
    const float gain = family_.scaled_embedding ? 4.0f / std::sqrt(static_cast<float>(o_.dim)) : 4;
    Matrix("token_embd.weight", o_.vocab, o_.dim, gain);
    if (family_.learned_positions) Matrix("position_embd.weight", o_.context, o_.dim, 4.0f);
    if (o_.rope_freqs) Vector("rope_freqs.weight", RopeDim() / 2, 1.0f, 8.0f);
    if (o_.long_factors) {
      Vector("rope_factors_short.weight", RopeDim() / 2, 1.0f, 1.5f);
      Vector("rope_factors_long.weight", RopeDim() / 2, 1.0f, 8.0f);
    }
    if (o_.layer_input_dim != 0) {
      const size_t all = o_.layer_input_dim * o_.layers;
      Matrix("per_layer_token_embd.weight", o_.vocab, all, 1.0f);
      Linear("per_layer_model_proj", all, o_.dim, Presence::kNo);
      Vector("per_layer_proj_norm.weight", o_.layer_input_dim, 0.5f, 1.5f);
    }
    for (size_t layer = 0; layer < Layers(); ++layer) Layer(layer);
    Norm(family_.output_norm);
    if ((!o_.tied && family_.output != Presence::kNo) || family_.output == Presence::kMust) {
      Matrix("output.weight", o_.vocab, o_.dim, 4.0f);
    }
    // Pairs that are not to turn, as in Gemma 4.
    if (o_.rope_freqs && family_.window_heads) {
      std::string& data = file_.GetTensor("rope_freqs.weight").data;
      for (size_t at = data.size() / 2; at < data.size(); at += 4) {
        data.replace(at, 4, LittleEndian(1e30f));
      }
    }
    return std::move(file_);
  }

 private:
  size_t RopeDim() const { return o_.rope_dim != 0 ? o_.rope_dim : o_.head_dim; }
  size_t ValueDim() const { return o_.value_dim != 0 ? o_.value_dim : o_.head_dim; }
  bool Windowed(size_t layer) const { return !o_.windows.empty() && o_.windows[layer]; }
  size_t Layers() const { return o_.layers + o_.skipped_layers; }
  bool Attends(size_t layer) const {
    return family_.recurrence == Recurrence::kNone || layer >= o_.layers ||
           layer % o_.attention_period == o_.attention_period - 1;
  }
  size_t KvHeads(size_t layer) const {
    if (family_.recurrence == Recurrence::kShortConvolution && !Attends(layer)) return 0;
    return o_.windows.empty() || Windowed(layer) ? o_.kv_heads : o_.kv_heads / 2;
  }
  size_t HeadDim(size_t layer) const {
    return o_.window_head_dim != 0 && Windowed(layer) ? o_.window_head_dim : o_.head_dim;
  }
  size_t ValueDim(size_t layer) const {
    return o_.window_head_dim != 0 && Windowed(layer) ? o_.window_head_dim : ValueDim();
  }
  size_t DenseFfn(size_t layer) const {
    const size_t plain = o_.dense_ffn_dim != 0 ? o_.dense_ffn_dim : o_.ffn_dim;
    return o_.shared_kv != 0 && layer >= o_.layers - o_.shared_kv ? 2 * plain : plain;
  }
  bool HasExperts(size_t layer) const {
    if (o_.experts == 0 || layer < o_.dense_layers) return false;
    return o_.expert_step == 0 || (layer + 1) % o_.expert_step == 0;
  }
  std::string Key(const std::string& key) const { return o_.architecture + "." + key; }
  void Number(const std::string& key, size_t value) {
    file_.SetU32(Key(key), static_cast<uint32_t>(value));
  }
  void Float(const std::string& key, double value) {
    file_.SetF32(Key(key), static_cast<float>(value));
  }
  // A number, or an array where layers differ.
  template <class Of>
  void ByLayer(const std::string& key, const Of& of) {
    std::vector<int32_t> values;
    for (size_t i = 0; i < Layers(); ++i) values.push_back(static_cast<int32_t>(of(i)));
    if (std::ranges::count(values, values[0]) == static_cast<ptrdiff_t>(values.size())) {
      return Number(key, static_cast<size_t>(values[0]));
    }
    file_.SetNumbers(Key(key), 5, values);
  }

  void Metadata() {
    file_.SetString("general.architecture", o_.architecture);
    file_.SetString("general.name", "tiny");
    Number("context_length", o_.context);
    Number("embedding_length", o_.dim);
    Number("block_count", Layers());
    if (o_.skipped_layers != 0) Number("nextn_predict_layers", o_.skipped_layers);
    const bool own_expert_size = family_.experts == Presence::kMust || o_.dense_ffn_dim != 0;
    ByLayer("feed_forward_length", [&](size_t i) { return DenseFfn(i); });
    Number("attention.head_count", o_.heads);
    if (family_.latent) {
      LatentMetadata();
    } else {
      ByLayer("attention.head_count_kv", [&](size_t i) { return KvHeads(i); });
      Number("attention.key_length", o_.head_dim);
      Number("attention.value_length", ValueDim());
    }
    if (o_.window_head_dim != 0) {
      Number("attention.key_length_swa", o_.window_head_dim);
      Number("attention.value_length_swa", o_.window_head_dim);
      Number("rope.dimension_count_swa", o_.window_head_dim);
    }
    Number("rope.dimension_count", RopeDim());
    Number("vocab_size", o_.vocab);
    Float("rope.freq_base", o_.rope_base);
    Float(family_.norm == NormKind::kLayer ? "attention.layer_norm_epsilon"
                                           : "attention.layer_norm_rms_epsilon",
          1e-5);
    if (o_.experts != 0) {
      Number("expert_count", o_.experts);
      Number("expert_used_count", o_.experts_used);
      if (own_expert_size) Number("expert_feed_forward_length", o_.ffn_dim);
      RouterMetadata();
    }
    if (o_.window != 0) Number("attention.sliding_window", o_.window);
    if (o_.window_period != 0) Number("attention.sliding_window_pattern", o_.window_period);
    if (!o_.windows.empty()) {
      const std::string flags(o_.windows.begin(), o_.windows.end());
      file_.SetArray(Key("attention.sliding_window_pattern"), 7, flags.size(), flags);
    }
    if (family_.shares_kv) Number("attention.shared_kv_layers", o_.shared_kv);
    if (family_.layer_inputs) Number("embedding_length_per_layer_input", o_.layer_input_dim);
    if (o_.soft_cap != 0) {
      Float("attn_logit_softcapping", o_.soft_cap);
      Float("final_logit_softcapping", o_.soft_cap / 4);
    }
    if (o_.scales) {
      Float("embedding_scale", 0.5);
      Float("attention.scale", 0.2);
      Float("residual_scale", 0.3);
      Float("logit_scale", 6);
    }
    RecurrenceMetadata();
    if (family_.may_be_parallel) file_.SetBool(Key("use_parallel_residual"), o_.parallel);
    if (!o_.rope_scaling.empty()) file_.SetString(Key("rope.scaling.type"), o_.rope_scaling);
    if (o_.rope_factor != 0) Float("rope.scaling.factor", o_.rope_factor);
    if (o_.original_context != 0) {
      Number("rope.scaling.original_context_length", o_.original_context);
    }
    if (o_.long_factors) Float("rope.scaling.attn_factor", 1.19);
    if (o_.log_multiplier != 0) Float("rope.scaling.yarn_log_multiplier", o_.log_multiplier);
    if (o_.temperature != 0) Float("attention.temperature_scale", o_.temperature);
    if (o_.temperature_length != 0) Number("attention.temperature_length", o_.temperature_length);
    if (!o_.sections.empty()) {
      file_.SetNumbers(Key("rope.dimension_sections"), 5,
                       std::vector<int32_t>(o_.sections.begin(), o_.sections.end()));
    }
  }

  void RecurrenceMetadata() {
    const Recurrence kind = family_.recurrence;
    if (kind == Recurrence::kShortConvolution) Number("shortconv.l_cache", o_.taps);
    if (kind != Recurrence::kDeltaNet) return;
    Number("ssm.conv_kernel", o_.taps);
    Number("ssm.state_size", o_.state_dim);
    Number("ssm.group_count", o_.state_keys);
    Number("ssm.time_step_rank", o_.state_values);
    Number("ssm.inner_size", o_.state_values * o_.state_dim);
    const auto pairs = static_cast<int32_t>(RopeDim() / 2);
    file_.SetNumbers<int32_t>(Key("rope.dimension_sections"), 5,
                              {(pairs + 2) / 3, (pairs + 1) / 3, pairs / 3, 0});
    if (!o_.layer_flags) return Number("full_attention_interval", o_.attention_period);
    std::string flags;
    for (size_t i = 0; i < Layers(); ++i) flags += Attends(i) ? '\0' : '\1';
    file_.SetArray(Key("attention.recurrent_layers"), 7, flags.size(), flags);
  }

  void LatentMetadata() {
    const bool old = o_.fused_kv_up;
    Number("attention.head_count_kv", old ? o_.heads : 1);
    Number("attention.key_length", old ? o_.head_dim : o_.kv_rank + RopeDim());
    Number("attention.value_length", old ? ValueDim() : o_.kv_rank);
    Number("attention.kv_lora_rank", o_.kv_rank);
    Number("attention.q_lora_rank", o_.query_rank);
    if (old) return;
    Number("attention.key_length_mla", o_.head_dim);
    Number("attention.value_length_mla", ValueDim());
  }

  void RouterMetadata() {
    if (o_.dense_layers != 0) Number("leading_dense_block_count", o_.dense_layers);
    if (o_.expert_step != 0) Number("interleave_moe_layer_step", o_.expert_step);
    if (o_.shared_ffn_dim != 0) {
      Number("expert_shared_count", 1);
      Number("expert_shared_feed_forward_length", o_.shared_ffn_dim);
    }
    if (o_.gating != 0) Number("expert_gating_func", o_.gating);
    if (o_.normalize) file_.SetBool(Key("expert_weights_norm"), true);
    if (o_.expert_scale != 0) Float("expert_weights_scale", o_.expert_scale);
    if (o_.groups == 0) return;
    Number("expert_group_count", o_.groups);
    Number("expert_group_used_count", o_.groups_used);
  }

  void Layer(size_t layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    if (family_.pre_norm) Norm(prefix + "attn_norm");
    if (!Attends(layer)) {
      family_.recurrence == Recurrence::kDeltaNet ? DeltaNet(prefix) : ShortConvolution(prefix);
    } else {
      family_.latent ? LatentAttention(prefix) : Attention(prefix, layer);
      const size_t attended = o_.heads * (family_.latent ? ValueDim() : ValueDim(layer));
      Linear(prefix + "attn_output", o_.dim, attended, family_.attention_output_bias);
      if (family_.sinks) Vector(prefix + "attn_sinks.weight", o_.heads, -1, 2);
    }
    if (family_.post_norm) Norm(prefix + "post_attention_norm");
    if (family_.pre_norm) Norm(prefix + family_.ffn_norm);
    if (HasExperts(layer)) {
      Mixture(prefix);
      if (family_.dense_beside_experts) Dense(prefix, "", DenseFfn(layer));
    } else {
      Dense(prefix, "", DenseFfn(layer));
    }
    if (family_.post_norm) Norm(prefix + "post_ffw_norm");
    if (o_.layer_input_dim != 0) {
      Linear(prefix + "inp_gate", o_.layer_input_dim, o_.dim, Presence::kNo);
      Linear(prefix + "proj", o_.dim, o_.layer_input_dim, Presence::kNo);
      Norm(prefix + "post_norm");
    }
    if (family_.layer_scale && layer != 1) Vector(prefix + "layer_output_scale.weight", 1, 0.6f, 1);
    if (layer < o_.layers) return;
    Matrix(prefix + "nextn.eh_proj.weight", o_.dim, 2 * o_.dim, 1);
    for (const char* name : {"enorm", "hnorm", "shared_head_norm"}) Norm(prefix + "nextn." + name);
  }

  void ShortConvolution(const std::string& prefix) {
    Matrix(prefix + "shortconv.in_proj.weight", 3 * o_.dim, o_.dim, o_.gain);
    Matrix(prefix + "shortconv.conv.weight", o_.dim, o_.taps, o_.gain, WeightType::kF32);
    Matrix(prefix + "shortconv.out_proj.weight", o_.dim, o_.dim, o_.gain);
  }

  void DeltaNet(const std::string& prefix) {
    const size_t values = o_.state_values * o_.state_dim;
    const size_t channels = 2 * o_.state_keys * o_.state_dim + values;
    if (o_.fused_delta) {
      Matrix(prefix + "ssm_in.weight", channels + values, o_.dim, o_.gain);
    } else {
      Matrix(prefix + "attn_qkv.weight", channels, o_.dim, o_.gain);
      Matrix(prefix + "attn_gate.weight", values, o_.dim, o_.gain);
    }
    const bool both = family_.adjacent_value_heads;
    if (!both) Matrix(prefix + "ssm_alpha.weight", o_.state_values, o_.dim, o_.gain);
    const size_t rows = (both ? 2 : 1) * o_.state_values;
    Matrix(prefix + (both ? "ssm_ba.weight" : "ssm_beta.weight"), rows, o_.dim, o_.gain);
    Matrix(prefix + "ssm_conv1d.weight", channels, o_.taps, o_.gain, WeightType::kF32);
    Vector(prefix + "ssm_dt.bias", o_.state_values, -1.0f, 1.0f);
    Vector(prefix + "ssm_a", o_.state_values, -0.5f, -0.01f);
    Vector(prefix + "ssm_norm.weight", o_.state_dim, 0.5f, 1.5f);
    Matrix(prefix + "ssm_out.weight", o_.dim, values, o_.gain);
  }

  void Attention(const std::string& prefix, size_t layer) {
    const size_t head = HeadDim(layer), q_dim = o_.heads * head;
    const size_t k_dim = KvHeads(layer) * head, v_dim = KvHeads(layer) * ValueDim(layer);
    const size_t q_rows = (family_.gated_attention ? 2 : 1) * q_dim;
    const bool own_kv = o_.shared_kv == 0 || layer < o_.layers - o_.shared_kv;
    if (o_.fused_qkv) {
      Linear(prefix + "attn_qkv", q_rows + k_dim + v_dim, o_.dim, family_.qkv_bias);
    } else {
      Linear(prefix + "attn_q", q_rows, o_.dim, family_.qkv_bias);
      if (own_kv) Linear(prefix + "attn_k", k_dim, o_.dim, family_.qkv_bias);
      const bool has_value = !family_.may_lack_value || Windowed(layer);
      if (own_kv && has_value) Linear(prefix + "attn_v", v_dim, o_.dim, family_.qkv_bias);
    }
    if (family_.qk_norm != QkNorm::kNone) {
      const bool each = family_.qk_norm == QkNorm::kHead;
      // Scores that are not scaled by the size of a head would leave one key all the weight.
      const float by = family_.unscaled_scores ? 0.4f : 1;
      Vector(prefix + "attn_q_norm.weight", each ? head : q_dim, 0.5f * by, 1.5f * by);
      if (own_kv) Vector(prefix + "attn_k_norm.weight", each ? head : k_dim, 0.5f * by, 1.5f * by);
    }
  }

  void LatentAttention(const std::string& prefix) {
    const size_t plain = o_.head_dim - RopeDim(), query = o_.heads * o_.head_dim;
    if (o_.query_rank != 0) {
      Linear(prefix + "attn_q_a", o_.query_rank, o_.dim, Presence::kNo);
      Vector(prefix + "attn_q_a_norm.weight", o_.query_rank, 0.5f, 1.5f);
      Linear(prefix + "attn_q_b", query, o_.query_rank, Presence::kNo);
    } else {
      Linear(prefix + "attn_q", query, o_.dim, Presence::kNo);
    }
    Linear(prefix + "attn_kv_a_mqa", o_.kv_rank + RopeDim(), o_.dim, Presence::kNo);
    Vector(prefix + "attn_kv_a_norm.weight", o_.kv_rank, 0.5f, 1.5f);
    if (o_.fused_kv_up) {
      return Linear(prefix + "attn_kv_b", o_.heads * (plain + ValueDim()), o_.kv_rank,
                    Presence::kNo);
    }
    Stack(prefix + "attn_k_b", o_.heads, o_.kv_rank, plain);
    Stack(prefix + "attn_v_b", o_.heads, ValueDim(), o_.kv_rank);
  }

  void Dense(const std::string& prefix, const std::string& suffix, size_t ffn) {
    const bool own_gate = family_.gated && !family_.fused_gate;
    if (own_gate) Linear(prefix + "ffn_gate" + suffix, ffn, o_.dim, family_.ffn_bias);
    Linear(prefix + "ffn_up" + suffix, family_.fused_gate ? 2 * ffn : ffn, o_.dim,
           family_.ffn_bias);
    Linear(prefix + "ffn_down" + suffix, o_.dim, ffn, family_.ffn_bias);
  }

  void Mixture(const std::string& prefix) {
    Matrix(prefix + "ffn_gate_inp.weight", o_.experts, o_.dim, o_.gain, WeightType::kF32);
    if (family_.router_bias == Presence::kMust) {
      Vector(prefix + "ffn_gate_inp.bias", o_.experts, -0.5f, 0.5f);
    }
    if (family_.choice_bias != Presence::kNo) {
      Vector(prefix + "exp_probs_b.bias", o_.experts, -0.3f, 0.3f);
    }
    if (o_.fused_experts) {
      Experts(prefix + "ffn_gate_up_exps", 2 * o_.ffn_dim, o_.dim);
    } else {
      Experts(prefix + "ffn_gate_exps", o_.ffn_dim, o_.dim);
      Experts(prefix + "ffn_up_exps", o_.ffn_dim, o_.dim);
    }
    Experts(prefix + "ffn_down_exps", o_.dim, o_.ffn_dim);
    if (o_.shared_ffn_dim != 0) Dense(prefix, "_shexp", o_.shared_ffn_dim);
    if (family_.gated_shared_expert) {
      Matrix(prefix + "ffn_gate_inp_shexp.weight", 1, o_.dim, o_.gain, WeightType::kF32);
    }
    if (!family_.dense_beside_experts) return;
    Vector(prefix + "ffn_gate_inp.scale", o_.dim, 0.5f, 1.5f);
    for (const char* name : {"pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"}) {
      Norm(prefix + name);
    }
    Vector(prefix + "ffn_down_exps.scale", o_.experts, 0.5f, 1.5f);
  }

  void Vector(const std::string& name, size_t n, float low, float high) {
    file_.tensors.push_back(RandomTensor(random_, name, 1, n, low, high, WeightType::kF32));
  }
  void Norm(const std::string& name) {
    Vector(name + ".weight", o_.dim, 0.5f, 1.5f);
    if (family_.norm == NormKind::kLayer) Vector(name + ".bias", o_.dim, -0.5f, 0.5f);
  }
  // Rows of about unit length, times `gain`: a uniform value in [-a, a] has variance a^2 / 3.
  void Matrix(const std::string& name, size_t rows, size_t cols, float gain, WeightType type) {
    const float a = gain * std::sqrt(3.0f / static_cast<float>(cols));
    file_.tensors.push_back(RandomTensor(random_, name, rows, cols, -a, a, type));
  }
  void Matrix(const std::string& name, size_t rows, size_t cols, float gain) {
    Matrix(name, rows, cols, gain, o_.type);
  }
  // `count` matrices in one tensor.
  void Stack(const std::string& name, size_t count, size_t rows, size_t cols) {
    Matrix(name + ".weight", count * rows, cols, o_.gain);
    file_.tensors.back().dims = {cols, rows, count};
  }
  void Experts(const std::string& name, size_t rows, size_t cols) {
    Stack(name, o_.experts, rows, cols);
    if (family_.expert_bias == Presence::kMust) {
      Vector(name + ".bias", o_.experts * rows, -0.5f, 0.5f);
      file_.tensors.back().dims = {rows, o_.experts};
    }
    if (o_.matrix_scales && !family_.dense_beside_experts) {
      Vector(name + ".scale", o_.experts, 0.5f, 1.5f);
      Vector(name + ".input_scale", o_.experts, 0.5f, 1.5f);
    }
  }
  void Linear(const std::string& name, size_t rows, size_t cols, Presence bias) {
    Matrix(name + ".weight", rows, cols, o_.gain);
    if (o_.matrix_scales) {
      Vector(name + ".scale", 1, 0.5f, 1.5f);
      Vector(name + ".input_scale", 1, 0.5f, 1.5f);
    }
    if (bias == Presence::kMust || (bias == Presence::kMay && o_.may_biases)) {
      Vector(name + ".bias", rows, -0.5f, 0.5f);
    }
  }

  const TinyModelOptions& o_;
  const Architecture& family_;
  Random random_;
  GgufBuilder file_;
};

}  // namespace

GgufBuilder TinyModelBuilder(const TinyModelOptions& options) { return Maker(options).Make(); }

std::vector<uint8_t> TinyModel(const TinyModelOptions& options) {
  return TinyModelBuilder(options).Build();
}

}  // namespace lockstep
