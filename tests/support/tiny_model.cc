#include "tests/support/tiny_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/support/random.h"
#include "tests/support/tiny_parts.h"
#include "tests/support/tiny_shape.h"

namespace lockstep {
namespace {

class Maker : TinyShape {
 public:
  explicit Maker(const TinyModelOptions& options) : TinyShape(options), random_(options.seed) {}

  GgufBuilder Make() {
    SetMetadata(o_, file_);
    SetTokenizer(file_, o_.vocab);
    // A scaled embedding is that much smaller, so that what the layers add still counts.
    const float gain = family_.scaled_embedding ? 4.0f / std::sqrt(static_cast<float>(o_.dim)) : 4;
    Matrix("token_embd.weight", o_.vocab, o_.dim, gain);
    if (family_.token_types != Presence::kNo) Matrix("token_types.weight", 2, o_.dim, 1.0f);
    if (family_.embedding_norm) Norm("token_embd_norm");
    if (family_.learned_positions) Matrix("position_embd.weight", o_.context, o_.dim, 4.0f);
    if (o_.rope_freqs) Vector("rope_freqs.weight", RopeDim() / 2, 1.0f, 8.0f);
    if (o_.long_factors) {
      Vector("rope_factors_short.weight", RopeDim() / 2, 1.0f, 1.5f);
      Vector("rope_factors_long.weight", RopeDim() / 2, 1.0f, 8.0f);
    }
    if (o_.layer_input_dim != 0) {
      const size_t all = o_.layer_input_dim * o_.layers;
      if (!family_.encoder) Matrix("per_layer_token_embd.weight", o_.vocab, all, 1.0f);
      Linear("per_layer_model_proj", all, o_.dim, Presence::kNo);
      Vector("per_layer_proj_norm.weight", o_.layer_input_dim, 0.5f, 1.5f);
    }
    for (size_t layer = 0; layer < Layers(); ++layer) Layer(layer);
    if (family_.output_norm != nullptr) Norm(family_.output_norm);
    if ((!o_.tied && family_.output != Presence::kNo) || family_.output == Presence::kMust) {
      Matrix("output.weight", o_.vocab, o_.dim, 4.0f);
    }
    Head();
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
  void Layer(size_t layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    const bool mixes = Attends(layer) || Recurs(layer);
    if (family_.pre_norm && mixes && !(family_.may_lack_attn_norm && layer == 0)) {
      Norm(prefix + "attn_norm");
    }
    if (Recurs(layer)) Recurrent(prefix);
    if (Attends(layer)) {
      family_.latent ? LatentAttention(prefix) : Attention(prefix, layer);
      const size_t attended = o_.heads * (family_.latent ? ValueDim() : ValueDim(layer));
      Linear(prefix + "attn_output", o_.dim, attended, family_.attention_output_bias);
      if (family_.sinks) Vector(prefix + "attn_sinks.weight", o_.heads, -1, 2);
    }
    if (family_.post_norm) Norm(prefix + "post_attention_norm");
    if (family_.stream_norm) Norm(prefix + "attn_output_norm");
    if (family_.encoder && o_.extra_norms) Norm(prefix + "attn_norm_2");
    if (FeedsForward(layer)) FeedForward(prefix, layer);
    if (family_.stream_norm) Norm(prefix + "layer_output_norm");
    if (o_.layer_input_dim != 0) {
      Linear(prefix + "inp_gate", o_.layer_input_dim, o_.dim, Presence::kNo);
      Linear(prefix + "proj", o_.dim, o_.layer_input_dim, Presence::kNo);
      Norm(prefix + "post_norm");
    }
    if (family_.layer_scale && (layer != 1 || family_.encoder))
      Vector(prefix + "layer_output_scale.weight", 1, 0.6f, 1);
    if (layer < o_.layers) return;
    Matrix(prefix + "nextn.eh_proj.weight", o_.dim, 2 * o_.dim, 1);
    for (const char* name : {"enorm", "hnorm", "shared_head_norm"}) Norm(prefix + "nextn." + name);
  }

  void Head() {
    size_t n = o_.dim;
    if (family_.projects_output) Linear("output", n = kProjected, o_.dim, Presence::kNo);
    for (size_t i = 0; i < o_.dense.size(); ++i) {
      Linear(fmt::format("dense_{}", i + 2), o_.dense[i], n, Presence::kNo);
      n = o_.dense[i];
    }
    if (o_.scores == 0) return;
    if (o_.hidden_scores) Linear("cls", n, n, Presence::kMust);
    if (o_.hidden_scores && family_.scores_mean) Norm("cls.norm");
    Linear("cls.output", o_.scores, n, Presence::kMay);
  }

  void FeedForward(const std::string& prefix, size_t layer) {
    const bool second = OneBranch() && Attends(layer);  // the first has taken the usual name
    if (family_.pre_norm) Norm(prefix + (second ? "post_attention_norm" : family_.ffn_norm));
    if (family_.bare_ffn_norm) file_.tensors.back().name = prefix + family_.ffn_norm;
    if (HasExperts(layer)) {
      Mixture(prefix);
      if (family_.dense_beside_experts) Dense(prefix, "", DenseFfn(layer));
    } else {
      Dense(prefix, "", DenseFfn(layer));
    }
    if (family_.post_norm) Norm(prefix + "post_ffw_norm");
  }

  void Recurrent(const std::string& prefix) {
    if (family_.recurrence == Recurrence::kShortConvolution) {
      ShortConvolution(prefix);
    } else if (family_.recurrence == Recurrence::kDeltaNet) {
      DeltaNet(prefix);
    } else {
      Mamba2(prefix);
    }
  }

  void ShortConvolution(const std::string& prefix) {
    Linear(prefix + "shortconv.in_proj", 3 * o_.dim, o_.dim, Presence::kNo);
    Matrix(prefix + "shortconv.conv.weight", o_.dim, o_.taps, o_.gain, WeightType::kF32);
    Linear(prefix + "shortconv.out_proj", o_.dim, o_.dim, Presence::kNo);
  }

  void DeltaNet(const std::string& prefix) {
    if (o_.fused_delta) {
      Linear(prefix + "ssm_in", Channels() + Inner(), o_.dim, Presence::kNo);
    } else {
      Linear(prefix + "attn_qkv", Channels(), o_.dim, Presence::kNo);
      Linear(prefix + "attn_gate", Inner(), o_.dim, Presence::kNo);
    }
    const bool both = family_.adjacent_value_heads;
    if (!both) Linear(prefix + "ssm_alpha", o_.state_values, o_.dim, Presence::kNo);
    const size_t rows = (both ? 2 : 1) * o_.state_values;
    Linear(prefix + (both ? "ssm_ba" : "ssm_beta"), rows, o_.dim, Presence::kNo);
    Matrix(prefix + "ssm_conv1d.weight", Channels(), o_.taps, o_.gain, WeightType::kF32);
    Vector(prefix + "ssm_dt.bias", o_.state_values, -1.0f, 1.0f);
    Vector(prefix + "ssm_a", o_.state_values, -0.5f, -0.01f);
    Vector(prefix + "ssm_norm.weight", o_.state_dim, 0.5f, 1.5f);
    Linear(prefix + "ssm_out", o_.dim, Inner(), Presence::kNo);
  }

  void Mamba2(const std::string& prefix) {
    Linear(prefix + "ssm_in", Inner() + Channels() + o_.state_values, o_.dim, Presence::kNo);
    Matrix(prefix + "ssm_conv1d.weight", Channels(), o_.taps, o_.gain, WeightType::kF32);
    Vector(prefix + "ssm_conv1d.bias", Channels(), -0.5f, 0.5f);
    Vector(prefix + "ssm_dt.bias", o_.state_values, -1.0f, 1.0f);
    Vector(prefix + "ssm_a", o_.state_values, -0.5f, -0.01f);
    file_.tensors.back().dims = {1, o_.state_values};
    Vector(prefix + "ssm_d", o_.state_values, 0.5f, 1.5f);
    file_.tensors.back().dims = {1, o_.state_values};
    if (!o_.no_state_norm) {
      Vector(prefix + "ssm_norm.weight", Inner(), 0.5f, 1.5f);
      file_.tensors.back().dims = {Inner() / o_.state_keys, o_.state_keys};
    }
    Linear(prefix + "ssm_out", o_.dim, Inner(), Presence::kNo);
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
    const bool has_norms = family_.norm == NormKind::kRms || o_.extra_norms;
    if (family_.qk_norm != QkNorm::kNone && has_norms) {
      const bool each = family_.qk_norm == QkNorm::kHead;
      // Scores that are not scaled by the size of a head would leave one key all the weight.
      const float by = family_.unscaled_scores ? 0.4f : 1;
      Vector(prefix + "attn_q_norm.weight", each ? head : q_dim, 0.5f * by, 1.5f * by);
      if (own_kv) Vector(prefix + "attn_k_norm.weight", each ? head : k_dim, 0.5f * by, 1.5f * by);
      if (family_.norm == NormKind::kLayer) {
        Vector(prefix + "attn_q_norm.bias", q_dim, -0.5f, 0.5f);
        Vector(prefix + "attn_k_norm.bias", k_dim, -0.5f, 0.5f);
      }
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
           family_.fused_gate ? Presence::kNo : family_.ffn_bias);
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
      if (family_.gated) Experts(prefix + "ffn_gate_exps", o_.ffn_dim, o_.dim);
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
    if (family_.norm == NormKind::kLayer && family_.norm_bias)
      Vector(name + ".bias", o_.dim, -0.5f, 0.5f);
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

  Random random_;
  GgufBuilder file_;
};

}  // namespace

GgufBuilder TinyModelBuilder(const TinyModelOptions& options) { return Maker(options).Make(); }

std::vector<uint8_t> TinyModel(const TinyModelOptions& options) {
  return TinyModelBuilder(options).Build();
}

}  // namespace lockstep
