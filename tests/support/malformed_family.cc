#include <cstdlib>

#include "tests/support/malformed_edit.h"

namespace lockstep {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Maker EditedFamily(const std::string& name, Edit edit) {
  return [=](const TempFile& file) {
    for (auto [family, options] : TinyFamilies()) {
      if (family != name) continue;
      options.type = WeightType::kQ8_0;  // small, as the files are seeds of the fuzzer, too
      GgufBuilder builder = TinyModelBuilder(options);
      edit(builder);
      file.Write(builder.Build());
      return;
    }
    std::abort();
  };
}

Edit Number(const std::string& key, float value) {
  return [=](GgufBuilder& b) { b.SetF32(key, value); };
}
Edit Size(const std::string& key, uint32_t value) {
  return [=](GgufBuilder& b) { b.SetU32(key, value); };
}
Edit Without(const std::string& key) {
  return [=](GgufBuilder& b) { b.Remove(key); };
}
Edit WithoutTensor(const std::string& name) {
  return [=](GgufBuilder& b) { b.RemoveTensor(name); };
}
// The first value of an F32 tensor.
Edit First(const std::string& name, float value) {
  return [=](GgufBuilder& b) { b.GetTensor(name).data.replace(0, 4, LittleEndian(value)); };
}
Edit Flags(size_t count) {
  return [=](GgufBuilder& b) {
    b.SetArray("gemma3.attention.sliding_window_pattern", 7, count, std::string(count, '\1'));
  };
}

}  // namespace

std::vector<MalformedCase> FamilyCases() {
  const auto row = [](const char* family, const char* what, Edit edit,
                      std::vector<std::string> message) {
    return MalformedCase{82, what, EditedFamily(family, std::move(edit)), std::move(message)};
  };
  return {
      row("qwen3moe", "no experts", Size("qwen3moe.expert_count", 0),
          {"qwen3moe.expert_count is 0", "1 to 1024"}),
      row("qwen3moe", "expert count missing", Without("qwen3moe.expert_count"),
          {"qwen3moe.expert_count is missing"}),
      row("mixtral", "2^31 experts", Size("llama.expert_count", 1u << 31),
          {"llama.expert_count is 2147483648", "0 to 1024"}),
      row("mixtral", "more experts than there are", Size("llama.expert_used_count", 5),
          {"llama.expert_used_count is 5", "1 to 4"}),
      row("mixtral", "none of the experts", Size("llama.expert_used_count", 0),
          {"llama.expert_used_count is 0", "1 to 4"}),
      row("mixtral", "fewer experts than in the tensors", Size("llama.expert_count", 3),
          {"blk.0.ffn_gate_inp.weight has dimensions [64, 4]", "[64, 3]"}),
      row("mixtral", "no router", WithoutTensor("blk.1.ffn_gate_inp.weight"),
          {"tensor blk.1.ffn_gate_inp.weight is missing"}),
      row("qwen2", "experts in a dense family", Size("qwen2.expert_count", 4),
          {"qwen2.expert_count is 4", "0 to 0"}),
      row("qwen2", "a bias missing", WithoutTensor("blk.1.attn_k.bias"),
          {"tensor blk.1.attn_k.bias is missing"}),
      row("qwen2", "an array of heads",
          [](GgufBuilder& b) {
            b.SetNumbers<uint32_t>("qwen2.attention.head_count_kv", 4, {2, 2});
          },
          {"qwen2.attention.head_count_kv is an array of 2", "one for each of 3"}),
      row("qwen3", "a norm of queries missing", WithoutTensor("blk.0.attn_q_norm.weight"),
          {"tensor blk.0.attn_q_norm.weight is missing"}),
      row("gemma2", "soft cap NaN", Number("gemma2.attn_logit_softcapping", kNan),
          {"gemma2.attn_logit_softcapping is nan"}),
      row("gemma2", "soft cap negative", Number("gemma2.final_logit_softcapping", -30),
          {"gemma2.final_logit_softcapping is -30"}),
      row("gemma2", "soft cap nearly 0", Number("gemma2.final_logit_softcapping", 1e-30f),
          {"gemma2.final_logit_softcapping is 1", "must be 0 or"}),
      row("gemma3", "flags of too few layers", Flags(2),
          {"gemma3.attention.sliding_window_pattern is an array of 2 bool", "3 layers"}),
      row("gemma3", "flags of each layer", Flags(3), {}),
      row("gemma3", "window 0 is none", Size("gemma3.attention.sliding_window", 0), {}),
      row("gemma3", "another norm missing", WithoutTensor("blk.2.post_ffw_norm.weight"),
          {"tensor blk.2.post_ffw_norm.weight is missing"}),
      row("granite", "logit scale missing", Without("granite.logit_scale"),
          {"granite.logit_scale is missing"}),
      row("granite", "logit scale 0", Number("granite.logit_scale", 0),
          {"granite.logit_scale is 0"}),
      row("granite", "residual scale infinite", Number("granite.residual_scale", kInfinity),
          {"granite.residual_scale is inf"}),
      row("gptneox", "parallel or not missing", Without("gptneox.use_parallel_residual"),
          {"gptneox.use_parallel_residual is missing"}),
      row("gptneox", "no output", WithoutTensor("output.weight"),
          {"tensor output.weight is missing"}),
      row("gpt2", "fewer positions than the context", Size("gpt2.context_length", 500),
          {"position_embd.weight has dimensions [64, 128]", "[64, 500]"}),
      row("gpt2", "a norm's bias missing", WithoutTensor("output_norm.bias"),
          {"tensor output_norm.bias is missing"}),
      row("gpt2", "fused matrix of another size", Size("gpt2.attention.head_count_kv", 2),
          {"blk.0.attn_qkv.weight has dimensions [64, 192]", "[64, 128]"}),
      row("gemma4", "more layers that share keys than there are",
          Size("gemma4.attention.shared_kv_layers", 8),
          {"gemma4.attention.shared_kv_layers is 8", "0 to 7"}),
      row("gemma4", "keys of a layer of another kind", Size("gemma4.attention.shared_kv_layers", 2),
          {"gemma4.attention.shared_kv_layers is 2", "no such layer of its kind"}),
      row("gemma4", "head size missing", Without("gemma4.attention.key_length_swa"),
          {"blk.0.attn_q.weight has dimensions [64, 64]", "[64, 128]"}),
      row("gemma4", "rotation wider than a head", Size("gemma4.rope.dimension_count_swa", 18),
          {"gemma4.rope.dimension_count_swa is 18", "2 to 16"}),
      row("gemma4-moe", "no norm of the experts", WithoutTensor("blk.1.pre_ffw_norm_2.weight"),
          {"tensor blk.1.pre_ffw_norm_2.weight is missing"}),
      row("gpt-oss", "no sinks", WithoutTensor("blk.2.attn_sinks.weight"),
          {"tensor blk.2.attn_sinks.weight is missing"}),
      row("gpt-oss", "no bias of an expert", WithoutTensor("blk.2.ffn_up_exps.bias"),
          {"tensor blk.2.ffn_up_exps.bias is missing"}),
      row("deepseek2", "nothing to rotate", Size("deepseek2.rope.dimension_count", 48),
          {"deepseek2.rope.dimension_count is 48", "less than the head size 48"}),
      row("deepseek2", "rank missing", Without("deepseek2.attention.kv_lora_rank"),
          {"deepseek2.attention.kv_lora_rank is missing"}),
      row("deepseek2", "groups that do not divide", Size("deepseek2.expert_group_count", 3),
          {"deepseek2.expert_group_count is 3", "must divide expert_count 8"}),
      row("deepseek2", "groups too small for the experts used",
          Size("deepseek2.expert_group_used_count", 1),
          {"deepseek2.expert_used_count is 3", "have only 2"}),
      row("deepseek2", "a router of an unknown kind", Size("deepseek2.expert_gating_func", 5),
          {"deepseek2.expert_gating_func is 5", "0 to 4"}),
      row("deepseek2", "temperature without a length",
          Without("deepseek2.attention.temperature_length"),
          {"deepseek2.attention.temperature_length is missing"}),
      row("nemotron_h", "a layer whose network has another size",
          [](GgufBuilder& b) {
            b.SetNumbers<int32_t>("nemotron_h.feed_forward_length", 5, {0, 64, 0, 0, 96});
          },
          {"tensor blk.1.ffn_up.weight has dimensions [64, 96]", "[64, 64]"}),
      row("nemotron_h", "a recurrent layer that should have a network",
          [](GgufBuilder& b) {
            b.SetNumbers<int32_t>("nemotron_h.feed_forward_length", 5, {96, 96, 0, 0, 96});
          },
          {"tensor blk.0.ffn_up.weight is missing"}),
      row("nemotron_h_moe", "experts of another width",
          Size("nemotron_h_moe.moe_latent_size", 1u << 31),
          {"nemotron_h_moe.moe_latent_size is 2147483648"}),
      row("falcon-h1", "2^31 heads of a state", Size("falcon-h1.ssm.time_step_rank", 1u << 31),
          {"falcon-h1.ssm.time_step_rank is 2147483648", "1 to 1024"}),
      row("falcon-h1", "groups of another size", Size("falcon-h1.ssm.group_count", 1),
          {"blk.0.ssm_in.weight has dimensions [64, 324]", "[64, 292]"}),
      row("granitehybrid", "a decay NaN", First("blk.0.ssm_a", kNan),
          {"tensor blk.0.ssm_a holds NaN"}),
      row("qwen2moe", "no shared expert", WithoutTensor("blk.1.ffn_up_shexp.weight"),
          {"tensor blk.1.ffn_up_shexp.weight is missing"}),
      row("qwen2vl", "positions of a fourth kind",
          [](GgufBuilder& b) {
            b.SetNumbers<int32_t>("qwen2vl.rope.dimension_sections", 5, {3, 3, 1, 1});
          },
          {"qwen2vl.rope.dimension_sections is 1 in its fourth place"}),
      row("llama3", "a factor 0", First("rope_freqs.weight", 0),
          {"tensor rope_freqs.weight holds 0", "0.01 to"}),
      row("llama3", "a factor NaN", First("rope_freqs.weight", kNan),
          {"tensor rope_freqs.weight holds NaN"}),
      row("phi3", "one set of factors missing", WithoutTensor("rope_factors_long.weight"),
          {"tensor rope_factors_long.weight is missing"}),
      row("phi3", "magnitude NaN", Number("phi3.rope.scaling.attn_factor", kNan),
          {"phi3.rope.scaling.attn_factor is nan"}),
      row("qwen2-yarn", "scaling of an unknown type",
          [](GgufBuilder& b) { b.SetString("qwen2.rope.scaling.type", "dynamic"); },
          {"qwen2.rope.scaling.type is \"dynamic\"", "\"yarn\""}),
      row("qwen2-yarn", "scaling by infinity", Number("qwen2.rope.scaling.factor", kInfinity),
          {"qwen2.rope.scaling.factor is inf"}),
      row("qwen2-yarn", "yarn's base 1", Number("qwen2.rope.freq_base", 1),
          {"qwen2.rope.freq_base is 1", "\"yarn\""}),
  };
}

}  // namespace lockstep
