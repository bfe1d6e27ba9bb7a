#include "tests/support/tiny_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <set>

#include "core/kernels/half.h"
#include "core/kernels/packed_matrix.h"
#include "core/transformer/architectures.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

std::string EncodeQ8Block(const float* x) {
  float largest = 0;
  for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float scale = largest / 127;
  std::string block = LittleEndian(FloatToHalf(scale));
  for (size_t i = 0; i < 32; ++i) {
    block += static_cast<char>(static_cast<int>(std::rint(largest > 0 ? x[i] / scale : 0)));
  }
  return block;
}

// The value furthest from zero becomes code 0, that is -8.
std::string EncodeQ4Block(const float* x) {
  const float extreme =
      *std::max_element(x, x + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  const float scale = extreme / -8;
  const auto code = [&](size_t i) {
    const float steps = extreme != 0 ? x[i] / scale : 0;
    return static_cast<unsigned>(std::clamp(std::rint(steps) + 8, 0.0f, 15.0f));
  };
  std::string block = LittleEndian(FloatToHalf(scale));
  for (size_t i = 0; i < 16; ++i) block += static_cast<char>(code(i) | code(i + 16) << 4);
  return block;
}

// The other types' tensors are random bytes.
bool EncodesValues(WeightType type) {
  return type == WeightType::kF32 || type == WeightType::kF16 || type == WeightType::kBF16 ||
         type == WeightType::kQ8_0 || type == WeightType::kQ4_0;
}

std::string Encode(const std::vector<float>& values, WeightType type) {
  std::string out;
  switch (type) {
    case WeightType::kF32:
      for (const float v : values) out += LittleEndian(v);
      break;
    case WeightType::kF16:
      for (const float v : values) out += LittleEndian(FloatToHalf(v));
      break;
    case WeightType::kBF16:
      for (const float v : values) out += LittleEndian(FloatToBFloat16(v));
      break;
    case WeightType::kQ8_0:
      for (size_t i = 0; i < values.size(); i += 32) out += EncodeQ8Block(&values[i]);
      break;
    case WeightType::kQ4_0:
      for (size_t i = 0; i < values.size(); i += 32) out += EncodeQ4Block(&values[i]);
      break;
    default:
      assert(false);
  }
  return out;
}

GgufBuilder::Tensor RandomTensor(Random& random, std::string name, size_t rows, size_t cols,
                                 float low, float high, WeightType type) {
  std::vector<uint64_t> dims{cols};
  if (rows > 1) dims.push_back(rows);
  std::string data;
  if (EncodesValues(type)) {
    data = Encode(random.Floats(rows * cols, low, high), type);
  } else {  // of the same standard deviation
    const double std = (high - low) / std::sqrt(12.0);
    const auto bytes = RandomTensorBytes(random, type, rows * cols, std);
    data.assign(bytes.begin(), bytes.end());
  }
  return {std::move(name), std::move(dims), FormatOf(type).file.id, std::move(data)};
}

// Characters first, then random strings of two to five letters, some with a space in front.
std::vector<std::string> Pieces(size_t count) {
  std::vector<std::string> pieces{"\u2581"};
  for (char c = 'a'; c <= 'z'; ++c) pieces.emplace_back(1, c);
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'")) {
    pieces.emplace_back(1, c);
  }
  for (const char* piece : {"th", "he", "in", "an", "\u2581t", "\u2581a", "the", "\u2581the",
                            "\u2581and", "\u2581o", "on", "ce", "\u2581once", "\u2581upon"}) {
    pieces.emplace_back(piece);
  }
  std::set<std::string> seen(pieces.begin(), pieces.end());
  Random random(7);
  while (pieces.size() < count) {
    std::string piece = random.Below(3) == 0 ? "\u2581" : "";
    for (uint64_t n = 2 + random.Below(4); n > 0; --n) {
      piece += static_cast<char>('a' + random.Below(26));
    }
    if (seen.insert(piece).second) pieces.push_back(piece);
  }
  pieces.resize(count);
  return pieces;
}

void SetTokenizer(GgufBuilder& file, size_t vocab) {
  constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types{kUnknown, kControl, kControl};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(kByte);
  }
  std::vector<float> scores(tokens.size(), 0.0f);
  assert(vocab > tokens.size());
  for (const std::string& piece : Pieces(vocab - tokens.size())) {
    scores.push_back(-static_cast<float>(tokens.size()));
    tokens.push_back(piece);
    types.push_back(kNormal);
  }
  file.SetString("tokenizer.ggml.model", "llama");
  file.SetString("tokenizer.ggml.pre", "default");
  file.SetStrings("tokenizer.ggml.tokens", tokens);
  file.SetNumbers("tokenizer.ggml.scores", 6, scores);
  file.SetNumbers("tokenizer.ggml.token_type", 5, types);
  file.SetU32("tokenizer.ggml.unknown_token_id", 0);
  file.SetU32("tokenizer.ggml.bos_token_id", 1);
  file.SetU32("tokenizer.ggml.eos_token_id", 2);
  file.SetBool("tokenizer.ggml.add_bos_token", true);
  file.SetBool("tokenizer.ggml.add_eos_token", false);
  file.SetBool("tokenizer.ggml.add_space_prefix", true);
}

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
    for (size_t layer = 0; layer < o_.layers; ++layer) Layer(fmt::format("blk.{}.", layer));
    Norm("output_norm");
    if (!o_.tied || family_.output == Presence::kMust) {
      Matrix("output.weight", o_.vocab, o_.dim, 4.0f);
    }
    return std::move(file_);
  }

 private:
  size_t RopeDim() const { return o_.rope_dim != 0 ? o_.rope_dim : o_.head_dim; }
  std::string Key(const std::string& key) const { return o_.architecture + "." + key; }
  void Number(const std::string& key, size_t value) {
    file_.SetU32(Key(key), static_cast<uint32_t>(value));
  }
  void Float(const std::string& key, double value) {
    file_.SetF32(Key(key), static_cast<float>(value));
  }

  void Metadata() {
    file_.SetString("general.architecture", o_.architecture);
    file_.SetString("general.name", "tiny");
    Number("context_length", o_.context);
    Number("embedding_length", o_.dim);
    Number("block_count", o_.layers);
    Number("feed_forward_length", o_.ffn_dim);
    Number("attention.head_count", o_.heads);
    Number("attention.head_count_kv", o_.kv_heads);
    Number("attention.key_length", o_.head_dim);
    Number("attention.value_length", o_.head_dim);
    Number("rope.dimension_count", RopeDim());
    Number("vocab_size", o_.vocab);
    Float("rope.freq_base", o_.rope_base);
    Float(family_.norm == NormKind::kLayer ? "attention.layer_norm_epsilon"
                                           : "attention.layer_norm_rms_epsilon",
          1e-5);
    if (o_.experts != 0) {
      Number("expert_count", o_.experts);
      Number("expert_used_count", o_.experts_used);
      if (family_.experts == Presence::kMust) Number("expert_feed_forward_length", o_.ffn_dim);
    }
    if (o_.window != 0) Number("attention.sliding_window", o_.window);
    if (o_.window_period != 0) Number("attention.sliding_window_pattern", o_.window_period);
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
    if (family_.may_be_parallel) file_.SetBool(Key("use_parallel_residual"), o_.parallel);
    if (!o_.rope_scaling.empty()) file_.SetString(Key("rope.scaling.type"), o_.rope_scaling);
    if (o_.rope_factor != 0) Float("rope.scaling.factor", o_.rope_factor);
    if (o_.original_context != 0) {
      Number("rope.scaling.original_context_length", o_.original_context);
    }
    if (o_.long_factors) Float("rope.scaling.attn_factor", 1.19);
  }

  void Layer(const std::string& prefix) {
    const size_t q_dim = o_.heads * o_.head_dim, kv_dim = o_.kv_heads * o_.head_dim;
    if (family_.pre_norm) Norm(prefix + "attn_norm");
    if (o_.fused_qkv) {
      Linear(prefix + "attn_qkv", q_dim + 2 * kv_dim, o_.dim, family_.qkv_bias);
    } else {
      Linear(prefix + "attn_q", q_dim, o_.dim, family_.qkv_bias);
      Linear(prefix + "attn_k", kv_dim, o_.dim, family_.qkv_bias);
      Linear(prefix + "attn_v", kv_dim, o_.dim, family_.qkv_bias);
    }
    if (family_.qk_norm != QkNorm::kNone) {
      const bool head = family_.qk_norm == QkNorm::kHead;
      Vector(prefix + "attn_q_norm.weight", head ? o_.head_dim : q_dim, 0.5f, 1.5f);
      Vector(prefix + "attn_k_norm.weight", head ? o_.head_dim : kv_dim, 0.5f, 1.5f);
    }
    Linear(prefix + "attn_output", o_.dim, q_dim, family_.attention_output_bias);
    if (family_.post_norm) Norm(prefix + "post_attention_norm");
    if (family_.pre_norm) Norm(prefix + "ffn_norm");
    if (o_.experts != 0) {
      Matrix(prefix + "ffn_gate_inp.weight", o_.experts, o_.dim, o_.gain, WeightType::kF32);
      Experts(prefix + "ffn_gate_exps.weight", o_.ffn_dim, o_.dim);
      Experts(prefix + "ffn_up_exps.weight", o_.ffn_dim, o_.dim);
      Experts(prefix + "ffn_down_exps.weight", o_.dim, o_.ffn_dim);
    } else {
      const bool own_gate = family_.gated && !family_.fused_gate;
      if (own_gate) Linear(prefix + "ffn_gate", o_.ffn_dim, o_.dim, family_.ffn_bias);
      Linear(prefix + "ffn_up", family_.fused_gate ? 2 * o_.ffn_dim : o_.ffn_dim, o_.dim,
             family_.ffn_bias);
      Linear(prefix + "ffn_down", o_.dim, o_.ffn_dim, family_.ffn_bias);
    }
    if (family_.post_norm) Norm(prefix + "post_ffw_norm");
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
  void Experts(const std::string& name, size_t rows, size_t cols) {
    Matrix(name, o_.experts * rows, cols, o_.gain);
    file_.tensors.back().dims = {cols, rows, o_.experts};
  }
  void Linear(const std::string& name, size_t rows, size_t cols, Presence bias) {
    Matrix(name + ".weight", rows, cols, o_.gain);
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

std::vector<TinyFamily> TinyFamilies() {
  std::vector<TinyFamily> all;
  const auto add = [&](const char* name, const char* architecture) -> TinyModelOptions& {
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
  // One that differs in nothing but its row has a plain model.
  for (const Architecture& architecture : Architectures()) {
    const bool has_model = std::any_of(all.begin(), all.end(), [&](const TinyFamily& family) {
      return family.options.architecture == architecture.name;
    });
    if (!has_model) add(architecture.name, architecture.name);
  }
  return all;
}

std::vector<uint8_t> TinyModel(const TinyModelOptions& options) {
  return TinyModelBuilder(options).Build();
}

}  // namespace lockstep
