#include <algorithm>
#include <functional>

#include "core/transformer/architectures.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using Add = std::function<TinyModelOptions&(const char* name, const char* architecture)>;

// Routers with every rule that there is.
void MixtureFamilies(const Add& add) {
  const auto moe = [&](const char* name, const char* architecture) -> TinyModelOptions& {
    TinyModelOptions& o = add(name, architecture);
    o.experts = 8, o.experts_used = 3, o.ffn_dim = 64;
    return o;
  };
  TinyModelOptions& bailing = moe("bailingmoe2", "bailingmoe2");
  bailing.fused_qkv = true, bailing.rope_dim = 8, bailing.dense_layers = 1;
  bailing.dense_ffn_dim = 96, bailing.shared_ffn_dim = 32;
  bailing.groups = 4, bailing.groups_used = 2, bailing.gating = 2;
  bailing.normalize = true, bailing.expert_scale = 2.5f;
  TinyModelOptions& dots = moe("dots1", "dots1");
  dots.dense_layers = 1, dots.dense_ffn_dim = 96, dots.shared_ffn_dim = 64, dots.gating = 2;
  dots.kv_heads = 4;
  TinyModelOptions& ernie = moe("ernie4_5-moe", "ernie4_5-moe");
  ernie.dense_layers = 1, ernie.expert_step = 1, ernie.dense_ffn_dim = 96;
  ernie.shared_ffn_dim = 32;
  TinyModelOptions& glm = moe("glm4moe", "glm4moe");
  glm.dense_layers = 1, glm.dense_ffn_dim = 96, glm.shared_ffn_dim = 64, glm.rope_dim = 8;
  glm.normalize = true, glm.may_biases = true;
  TinyModelOptions& granite = moe("granitemoe", "granitemoe");
  granite.scales = true, granite.shared_ffn_dim = 32;
  TinyModelOptions& qwen2 = moe("qwen2moe", "qwen2moe");
  qwen2.shared_ffn_dim = 96, qwen2.may_biases = true, qwen2.kv_heads = 4;
  TinyModelOptions& olmoe = moe("olmoe", "olmoe");
  olmoe.kv_heads = 4;
  TinyModelOptions& vl = moe("qwen3vlmoe", "qwen3vlmoe");
  vl.head_dim = 32, vl.sections = {6, 5, 5, 0};
  TinyModelOptions& scaled = moe("qwen3moe-scales", "qwen3moe");
  scaled.head_dim = 32, scaled.matrix_scales = true;
}

void MambaFamilies(const Add& add) {
  TinyModelOptions& granite = add("granitehybrid", "granitehybrid");
  granite.scales = true, granite.never_rotates = true, granite.may_biases = true;
  TinyModelOptions& granite_moe = add("granitehybrid-moe", "granitehybrid");
  granite_moe.scales = true, granite_moe.experts = 8, granite_moe.experts_used = 3;
  granite_moe.ffn_dim = 64, granite_moe.shared_ffn_dim = 32, granite_moe.state_keys = 1;
  TinyModelOptions& nemotron = add("nemotron_h", "nemotron_h");
  nemotron.layers = 5, nemotron.may_biases = true, nemotron.state_dim = 32, nemotron.tied = false;
  TinyModelOptions& nemotron_moe = add("nemotron_h_moe", "nemotron_h_moe");
  nemotron_moe.layers = 5, nemotron_moe.skipped_layers = 1, nemotron_moe.experts = 8;
  nemotron_moe.experts_used = 3, nemotron_moe.ffn_dim = 64, nemotron_moe.shared_ffn_dim = 96;
  nemotron_moe.normalize = true, nemotron_moe.expert_scale = 2.5f, nemotron_moe.state_keys = 4;
  TinyModelOptions& falcon = add("falcon-h1", "falcon-h1");
  falcon.may_biases = true, falcon.taps = 3;
  add("falcon-h1-no-norm", "falcon-h1").no_state_norm = true;
}

// Layers that do not attend, or not only.
void RecurrentFamilies(const Add& add) {
  TinyModelOptions& qwen35 = add("qwen35", "qwen35");
  qwen35.head_dim = 32, qwen35.rope_dim = 16, qwen35.may_biases = true;
  TinyModelOptions& mtp = add("qwen35-mtp", "qwen35");
  mtp.layers = 4, mtp.skipped_layers = 1, mtp.layer_flags = true, mtp.fused_qkv = true;
  mtp.taps = 3, mtp.state_dim = 32;
  TinyModelOptions& qwen35moe = add("qwen35moe", "qwen35moe");
  qwen35moe.head_dim = 32, qwen35moe.rope_dim = 16, qwen35moe.experts = 4;
  qwen35moe.shared_ffn_dim = 64;
  TinyModelOptions& next = add("qwen3next", "qwen3next");
  next.head_dim = 32, next.rope_dim = 16, next.experts = 4, next.shared_ffn_dim = 64;
  TinyModelOptions& next_old = add("qwen3next-old", "qwen3next");
  next_old.experts = 4, next_old.shared_ffn_dim = 64, next_old.fused_delta = true;
  add("lfm2", "lfm2").taps = 3;
  TinyModelOptions& window = add("lfm2-window", "lfm2");
  window.layers = 4, window.window = 20, window.may_biases = true;
  TinyModelOptions& lfm2moe = add("lfm2moe", "lfm2moe");
  lfm2moe.experts = 8, lfm2moe.experts_used = 3, lfm2moe.ffn_dim = 64, lfm2moe.taps = 3;
  lfm2moe.dense_layers = 1, lfm2moe.dense_ffn_dim = 96, lfm2moe.gating = 2;
  TinyModelOptions& scaled = add("qwen35-scales", "qwen35");
  scaled.head_dim = 32, scaled.rope_dim = 16, scaled.matrix_scales = true;
  MambaFamilies(add);
}

void NewerFamilies(const Add& add) {
  MixtureFamilies(add);
  RecurrentFamilies(add);
  TinyModelOptions& gemma4 = add("gemma4", "gemma4");
  gemma4.layers = 8, gemma4.head_dim = 32, gemma4.window_head_dim = 16;
  gemma4.windows = {true, true, false, true, false, true, true, false};
  gemma4.window = 20, gemma4.shared_kv = 3, gemma4.layer_input_dim = 32;
  gemma4.rope_freqs = true, gemma4.rope_base = 1000000, gemma4.soft_cap = 32;
  TinyModelOptions& gemma4_moe = add("gemma4-moe", "gemma4");
  gemma4_moe.layers = 4, gemma4_moe.head_dim = 32, gemma4_moe.window_head_dim = 16;
  gemma4_moe.windows = {true, false, true, false}, gemma4_moe.window = 20;
  gemma4_moe.rope_freqs = true, gemma4_moe.rope_base = 1000000;
  gemma4_moe.experts = 8, gemma4_moe.experts_used = 3, gemma4_moe.dense_layers = 1;
  gemma4_moe.gain = 1, gemma4_moe.ffn_dim = 64, gemma4_moe.dense_ffn_dim = 96,
  gemma4_moe.fused_experts = true;
  TinyModelOptions& gpt_oss = add("gpt-oss", "gpt-oss");
  gpt_oss.gain = 1, gpt_oss.layers = 4, gpt_oss.window = 20, gpt_oss.experts = 8,
  gpt_oss.experts_used = 4;
  gpt_oss.ffn_dim = 64, gpt_oss.may_biases = true, gpt_oss.rope_base = 150000;
  gpt_oss.rope_scaling = "yarn", gpt_oss.rope_factor = 32, gpt_oss.original_context = 32;
  const auto latent = [&](const char* name, const char* architecture) -> TinyModelOptions& {
    TinyModelOptions& o = add(name, architecture);
    o.head_dim = 48, o.rope_dim = 16, o.value_dim = 32, o.kv_rank = 64;
    o.experts = 8, o.experts_used = 3, o.ffn_dim = 64;
    o.dense_layers = 1, o.dense_ffn_dim = 96, o.shared_ffn_dim = 64, o.gain = 1;
    return o;
  };
  for (const char* name : {"deepseek2", "mistral4"}) {
    TinyModelOptions& o = latent(name, name);
    o.query_rank = 32, o.groups = 4, o.groups_used = 2, o.gating = 2, o.normalize = true;
    o.expert_scale = 1.8f, o.temperature = 0.3f, o.temperature_length = 20, o.tied = false;
    o.rope_scaling = "yarn", o.rope_factor = 40, o.original_context = 32;
    o.log_multiplier = 0.0707f;
  }
  TinyModelOptions& old = latent("deepseek2-old", "deepseek2");
  old.fused_kv_up = true, old.expert_scale = 1.8f;
  old.rope_scaling = "yarn", old.rope_factor = 40, old.original_context = 32;
  latent("deepseek2-plain", "deepseek2").fused_experts = true;
  TinyModelOptions& mistral3 = add("mistral3", "mistral3");
  mistral3.rope_scaling = "yarn", mistral3.rope_factor = 16, mistral3.original_context = 24;
  mistral3.log_multiplier = 1, mistral3.temperature = 0.4f, mistral3.may_biases = true;
  TinyModelOptions& mistral3_moe = add("mistral3-moe", "mistral3");
  mistral3_moe.experts = 4, mistral3_moe.rope_scaling = "yarn", mistral3_moe.rope_factor = 16;
  mistral3_moe.original_context = 24, mistral3_moe.log_multiplier = 0.5f;
  add("qwen2vl", "qwen2vl").sections = {4, 2, 2, 0};
  TinyModelOptions& qwen3vl = add("qwen3vl", "qwen3vl");
  qwen3vl.head_dim = 32, qwen3vl.sections = {6, 5, 5, 0};
  add("glm4", "glm4").rope_dim = 8;
  add("seed_oss", "seed_oss").may_biases = true;
  TinyModelOptions& exaone = add("exaone4-windows", "exaone4");
  exaone.layers = 64, exaone.window = 20, exaone.dim = 32, exaone.heads = 2, exaone.kv_heads = 1;
  exaone.ffn_dim = 32, exaone.gain = 0.5f;
  add("exaone4", "exaone4");
  // Not of any family: value vectors of a size of their own.
  add("llama-values", "llama").value_dim = 32;
}

}  // namespace

std::vector<TinyFamily> TinyFamilies() {
  std::vector<TinyFamily> all;
  const Add add = [&](const char* name, const char* architecture) -> TinyModelOptions& {
    TinyFamily& family = all.emplace_back(TinyFamily{name, {}});
    family.options.architecture = architecture;
    family.options.layers = 3;
    return family.options;
  };
  add("llama2", "llama").kv_heads = 4;
  TinyModelOptions& llama3 = add("llama3", "llama");
  llama3.rope_base = 500000, llama3.rope_freqs = true, llama3.may_biases = true;
  TinyModelOptions& linear = add("llama-linear", "llama");
  linear.rope_scaling = "linear", linear.rope_factor = 4, linear.tied = false;
  add("mixtral", "llama").experts = 4;
  add("qwen2", "qwen2");
  TinyModelOptions& yarn = add("qwen2-yarn", "qwen2");
  yarn.rope_scaling = "yarn", yarn.rope_factor = 4, yarn.original_context = 32;
  yarn.rope_base = 100;  // so that the pairs are fast, slow and between
  add("qwen3", "qwen3").head_dim = 32;
  TinyModelOptions& moe = add("qwen3moe", "qwen3moe");
  moe.experts = 8, moe.experts_used = 3, moe.head_dim = 32;
  TinyModelOptions& gemma2 = add("gemma2", "gemma2");
  gemma2.head_dim = 32, gemma2.window = 20, gemma2.soft_cap = 2;
  TinyModelOptions& gemma3 = add("gemma3", "gemma3");
  gemma3.kv_heads = 1, gemma3.window = 20, gemma3.window_period = 3;
  gemma3.rope_scaling = "linear", gemma3.rope_factor = 8, gemma3.rope_base = 1000000;
  TinyModelOptions& phi3 = add("phi3", "phi3");
  phi3.fused_qkv = true, phi3.rope_dim = 12, phi3.original_context = 1u << 20;
  phi3.long_factors = true, phi3.tied = false;
  TinyModelOptions& longrope = add("phi3-long", "phi3");
  longrope.fused_qkv = true, longrope.original_context = 32, longrope.long_factors = true;
  add("granite", "granite").scales = true;
  add("olmo2", "olmo2");
  TinyModelOptions& olmo3 = add("olmo3", "olmo2");
  olmo3.window = 20, olmo3.window_period = 2;
  olmo3.rope_scaling = "yarn", olmo3.rope_factor = 8, olmo3.original_context = 32;
  TinyModelOptions& smollm3 = add("smollm3", "smollm3");
  smollm3.layers = 4;
  TinyModelOptions& gpt2 = add("gpt2", "gpt2");
  gpt2.fused_qkv = true, gpt2.kv_heads = 4;
  TinyModelOptions& neox = add("gptneox", "gptneox");
  neox.fused_qkv = true, neox.kv_heads = 4, neox.rope_dim = 4;
  TinyModelOptions& serial = add("gptneox-serial", "gptneox");
  serial.fused_qkv = true, serial.kv_heads = 4, serial.parallel = false;
  NewerFamilies(add);
  // One that differs in nothing but its row has a plain model.
  for (const Architecture& architecture : Architectures()) {
    const bool has_model = std::any_of(all.begin(), all.end(), [&](const TinyFamily& family) {
      return family.options.architecture == architecture.name;
    });
    if (!has_model) add(architecture.name, architecture.name);
  }
  return all;
}

}  // namespace lockstep
