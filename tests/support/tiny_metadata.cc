// The metadata of a tiny model, under the names that published files have.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/tiny_parts.h"
#include "tests/support/tiny_shape.h"

namespace lockstep {
namespace {

class Metadata : TinyShape {
 public:
  Metadata(const TinyModelOptions& options, GgufBuilder& file) : TinyShape(options), file_(file) {}

  void Set() {
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
    // Of a layer that guesses ahead, but other programs want it in every file.
    if (OneBranch()) Float("attention.layer_norm_epsilon", 1e-5);
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
    if (family_.encoder || o_.encodes) Number("pooling_type", o_.pooling);
    if (family_.encoder) file_.SetBool(Key("attention.causal"), false);
    // Other programs want these.
    if (family_.projects_output) Number("embedding_length_out", kProjected);
    for (size_t i = 0, n = o_.dim; i < o_.dense.size(); n = o_.dense[i++]) {
      Number("dense_" + std::to_string(i + 2) + "_feat_in", n);
      Number("dense_" + std::to_string(i + 2) + "_feat_out", o_.dense[i]);
    }
    if (family_.token_types != Presence::kNo) file_.SetU32("tokenizer.ggml.token_type_count", 2);
    RecurrenceMetadata();
    if (family_.may_be_parallel) file_.SetBool(Key("use_parallel_residual"), o_.parallel);
    if (!o_.rope_scaling.empty()) file_.SetString(Key("rope.scaling.type"), o_.rope_scaling);
    if (o_.rope_factor != 0) Float("rope.scaling.factor", o_.rope_factor);
    if (o_.original_context != 0) {
      Number("rope.scaling.original_context_length", o_.original_context);
    }
    if (o_.never_rotates) file_.SetBool(Key("rope.scaling.finetuned"), false);
    if (o_.long_factors) Float("rope.scaling.attn_factor", 1.19);
    if (o_.log_multiplier != 0) Float("rope.scaling.yarn_log_multiplier", o_.log_multiplier);
    if (o_.temperature != 0) Float("attention.temperature_scale", o_.temperature);
    if (o_.temperature_length != 0) Number("attention.temperature_length", o_.temperature_length);
    if (!o_.sections.empty()) {
      file_.SetNumbers(Key("rope.dimension_sections"), 5,
                       std::vector<int32_t>(o_.sections.begin(), o_.sections.end()));
    }
  }

 private:
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

  void RecurrenceMetadata() {
    const Recurrence kind = family_.recurrence;
    if (kind == Recurrence::kShortConvolution) Number("shortconv.l_cache", o_.taps);
    if (kind != Recurrence::kDeltaNet && kind != Recurrence::kMamba2) return;
    Number("ssm.conv_kernel", o_.taps);
    Number("ssm.state_size", o_.state_dim);
    Number("ssm.group_count", o_.state_keys);
    Number("ssm.time_step_rank", o_.state_values);
    Number("ssm.inner_size", Inner());
    if (kind == Recurrence::kMamba2) return;
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
    if (o_.expert_step != 0) {
      Number(family_.encoder ? "moe_every_n_layers" : "interleave_moe_layer_step", o_.expert_step);
    }
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

  GgufBuilder& file_;
};

}  // namespace

void SetMetadata(const TinyModelOptions& options, GgufBuilder& file) {
  Metadata(options, file).Set();
}

}  // namespace lockstep
