// Every number of the metadata is checked against bounds before anything is computed from it: the
// file is not trusted, and what it says decides on sizes, offsets and divisions. The steps run in
// order, and each may rely on what those before it have read.
#include "core/transformer/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/gguf/metadata_keys.h"

namespace lockstep {
namespace {

// Far beyond every published model; they keep all products of sizes within 64 bits.
constexpr size_t kMaxLayers = 1024;
constexpr size_t kMaxHeads = 1024;
constexpr size_t kMaxHeadDim = 1024;
constexpr size_t kMaxDim = 1 << 18;
constexpr size_t kMaxFfnDim = 1 << 20;
constexpr size_t kMaxVocab = 1 << 24;
constexpr size_t kMaxContext = 1 << 24;       // position times frequency stays exact enough
constexpr uint64_t kMaxKvBytes = 1ull << 40;  // of one session at full context
constexpr size_t kMaxExperts = 1024;

constexpr size_t kMaxNameBytes = 256;  // it goes into every answer

// Bounds for a factor that the metadata give: it multiplies activations or divides angles, and
// outside of them a product in float may overflow, or vanish.
constexpr double kMinFactor = 1e-4, kMaxFactor = 1e6;

// general.name as clients are told it: in UTF-8, without control characters, of a bounded size.
// Empty if nothing is left of it.
std::string CleanName(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    const Utf8Scan scan = ScanUtf8(text);
    const bool valid = scan.kind == Utf8Scan::Kind::kCharacter;
    const std::string_view character = valid ? text.substr(0, scan.length) : kReplacementCharacter;
    text.remove_prefix(scan.length);
    if (IsControlCharacter(character) || (name.empty() && character == " ")) continue;
    if (name.size() + character.size() > kMaxNameBytes) break;
    name += character;
  }
  name.resize(name.find_last_not_of(' ') + 1);
  return name;
}

Status CheckArchitecture(const GgufFile& file, ModelConfig& config) {
  TRY_OK(file.CheckWhole());
  if (file.tensors().empty()) {
    return file.Fail("n_tensors is 0: the file has no weights, perhaps a vocabulary only");
  }
  TRY(const auto architecture, file.GetString("general.architecture"));
  if (!architecture) return file.Fail("general.architecture is missing");
  config.family = FindArchitecture(*architecture);
  if (config.family == nullptr) {
    return file.Fail(fmt::format("general.architecture is {}, but lockstep runs {} only",
                                 Quoted(*architecture), KnownArchitectures()));
  }
  config.architecture = *architecture;
  TRY(const auto name, file.GetString("general.name"));
  config.name = CleanName(name.value_or(""));
  if (config.name.empty()) config.name = config.architecture;
  return {};
}

Status ReadHeads(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  c.heads = keys.NeedSize("attention.head_count", 1, kMaxHeads);
  // Fewer key/value heads than query heads is grouped-query attention (Ainslie et al. 2023); one
  // for all is multi-query attention.
  c.kv_heads = keys.Size("attention.head_count_kv", 1, kMaxHeads).value_or(c.heads);
  const auto key_length = keys.Size("attention.key_length", 2, kMaxHeadDim);
  const auto value_length = keys.Size("attention.value_length", 2, kMaxHeadDim);
  const auto rope_dim = keys.Size("rope.dimension_count", 2, kMaxHeadDim);
  if (!keys.status()) return keys.status();

  if (c.heads % c.kv_heads != 0) {
    keys.Fail("attention.head_count", fmt::to_string(c.heads),
              fmt::format("must be a multiple of head_count_kv {}", c.kv_heads));
  }
  if (!key_length && c.dim % c.heads != 0) {
    keys.Fail("embedding_length", fmt::to_string(c.dim),
              fmt::format("must be a multiple of head_count {}", c.heads));
  }
  if (!keys.status()) return keys.status();
  c.head_dim = key_length.value_or(c.dim / c.heads);
  if (c.head_dim > kMaxHeadDim || c.head_dim % 2 != 0) {
    return file.Fail(fmt::format(
        "the head size ({} or embedding_length / head_count) is {}, but must be even and at most "
        "{}",
        keys.Name("attention.key_length"), c.head_dim, kMaxHeadDim));
  }
  // Values of another size than keys occur in families that are not run here, such as DeepSeek's.
  if (value_length.value_or(c.head_dim) != c.head_dim) {
    keys.Fail("attention.value_length", fmt::to_string(*value_length),
              fmt::format("must be that of the keys, {}", c.head_dim));
  }
  // Families with learned positions rotate nothing: rope_dim stays 0.
  if (c.family->pairs == RopePairs::kNone) return keys.status();
  c.rope_dim = rope_dim.value_or(c.head_dim);
  if (c.rope_dim % 2 != 0 || c.rope_dim > c.head_dim) {
    keys.Fail("rope.dimension_count", fmt::to_string(c.rope_dim),
              fmt::format("must be even and at most the head size {}", c.head_dim));
  }
  return keys.status();
}

Status ReadExperts(const GgufFile&, MetadataKeys& keys, ModelConfig& c) {
  const Presence presence = c.family->experts;
  // A family without experts may still say "expert_count 0", and nothing else.
  const size_t most = presence == Presence::kNo ? 0 : kMaxExperts;
  c.experts = presence == Presence::kMust ? keys.NeedSize("expert_count", 1, most)
                                          : keys.Size("expert_count", 0, most).value_or(0);
  if (c.experts == 0) {
    c.ffn_dim = keys.NeedSize("feed_forward_length", 1, kMaxFfnDim);
    return keys.status();
  }
  c.experts_used = keys.NeedSize("expert_used_count", 1, c.experts);
  // Mixtral's files, of architecture llama, have the size of an expert in feed_forward_length.
  const auto own = keys.Size("expert_feed_forward_length", 1, kMaxFfnDim);
  c.ffn_dim = own ? *own : keys.NeedSize("feed_forward_length", 1, kMaxFfnDim);
  // 0 stands for "not scaled".
  const double scale = keys.Number("expert_weights_scale", 0, kMaxFactor).value_or(0);
  c.expert_scale = scale != 0 ? static_cast<float>(scale) : 1.0f;
  c.normalize_experts = keys.Flag("expert_weights_norm").value_or(true);
  return keys.status();
}

Status ReadVocabulary(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  const auto vocab = keys.Size("vocab_size", 1, kMaxVocab);
  if (!keys.status()) return keys.status();
  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr) return file.Fail("tensor token_embd.weight is missing");
  c.vocab = embedding->rows();
  if (c.vocab > kMaxVocab) {
    return file.Fail(fmt::format("tensor token_embd.weight has {} rows, but the limit is {}",
                                 c.vocab, kMaxVocab));
  }
  if (vocab.value_or(c.vocab) != c.vocab) {
    keys.Fail("vocab_size", fmt::to_string(*vocab),
              fmt::format("tensor token_embd.weight has {} rows", c.vocab));
  }
  return keys.status();
}

std::optional<RopeScaling> ScalingOf(std::string_view name) {
  if (name == "none") return RopeScaling::kNone;
  if (name == "linear") return RopeScaling::kLinear;
  if (name == "yarn") return RopeScaling::kYarn;
  if (name == "longrope") return RopeScaling::kLongRope;
  return std::nullopt;
}

Status ReadRope(const GgufFile&, MetadataKeys& keys, ModelConfig& c) {
  // Below 1 the frequencies would grow instead of fall.
  c.rope.base = keys.Number("rope.freq_base", 1, 1e30).value_or(c.rope.base);
  // Without a type, a factor means linear scaling.
  const std::string_view type = keys.Text("rope.scaling.type").value_or("linear");
  const auto scaling = ScalingOf(type);
  if (!scaling) {
    keys.Fail("rope.scaling.type", Quoted(type),
              "lockstep runs \"none\", \"linear\", \"yarn\" and \"longrope\" only");
  }
  c.rope.scaling = scaling.value_or(RopeScaling::kNone);
  const char* factor_key = "rope.scaling.factor";
  // 0 stands for "not scaled".
  std::optional<double> factor = keys.Number(factor_key, 0, kMaxFactor);
  // rope.scale_linear is the older name of the key.
  if (!factor) factor = keys.Number(factor_key = "rope.scale_linear", 0, kMaxFactor);
  c.rope.factor = factor && *factor != 0 ? *factor : 1;
  if (c.rope.factor < kMinFactor) {
    keys.Fail(factor_key, fmt::to_string(c.rope.factor),
              fmt::format("must be 0 or at least {}", kMinFactor));
  }
  if (c.rope.scaling == RopeScaling::kLongRope && c.rope.factor != 1) {
    keys.Fail(factor_key, fmt::to_string(c.rope.factor),
              "\"longrope\" has the factors of its tensors only");
  }
  if (c.rope.factor == 1 && c.rope.scaling == RopeScaling::kLinear) {
    c.rope.scaling = RopeScaling::kNone;
  }
  // YaRN and LongRoPE compare with the context before stretching. A file that does not give it was
  // not stretched.
  const auto original = keys.Size("rope.scaling.original_context_length", 1, kMaxContext);
  c.rope.original_context = static_cast<double>(original.value_or(c.context));
  c.rope.magnitude = keys.Number("rope.scaling.attn_factor", kMinFactor, kMaxFactor).value_or(1);
  c.rope.beta_fast =
      keys.Number("rope.scaling.yarn_beta_fast", kMinFactor, kMaxFactor).value_or(c.rope.beta_fast);
  c.rope.beta_slow =
      keys.Number("rope.scaling.yarn_beta_slow", kMinFactor, kMaxFactor).value_or(c.rope.beta_slow);
  if (c.rope.scaling == RopeScaling::kYarn) {
    // rope.cc divides by the base's logarithm.
    if (c.rope.base < 2) {
      keys.Fail("rope.freq_base", fmt::to_string(c.rope.base), "\"yarn\" wants at least 2");
    }
    // Variants of it that no model of these families has.
    keys.Number("rope.scaling.yarn_log_multiplier", 0, 0);
    keys.Number("rope.scaling.yarn_ext_factor", 1, 1);
  }
  if (!keys.Flag("rope.scaling.finetuned").value_or(true) && c.architecture == "granite") {
    c.rope_dim = 0;  // its way to say that nothing is rotated
  }
  return keys.status();
}

// The layers with a sliding window: a period, or a flag for each layer. With the period 6, layers 0
// to 4 have it, layer 5 sees everything, and so on.
void ReadWindowLayers(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  const std::string_view key = "attention.sliding_window_pattern";
  const GgufPair* pair = file.Find(keys.Name(key));
  const auto* flags = pair != nullptr ? std::get_if<GgufArray>(&pair->value) : nullptr;
  c.window_layers.resize(c.layers);
  if (flags == nullptr) {
    const size_t period = keys.Size(key, 0, kMaxLayers).value_or(c.family->window_period);
    for (size_t i = 0; i < c.layers; ++i) {
      c.window_layers[i] = period == 0 || i % period < period - 1;
    }
  } else if (flags->element_type != Id(GgufType::kBool) || flags->count != c.layers) {
    keys.Fail(key,
              fmt::format("an array of {} {}", flags->count, GgufTypeName(flags->element_type)),
              fmt::format("must be a number, or a bool for each of {} layers", c.layers));
  } else {
    for (size_t i = 0; i < c.layers; ++i) c.window_layers[i] = flags->data[i] != 0;
  }
}

Status ReadWindow(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  // 0 stands for "none", as converters write it.
  c.window =
      keys.Size("attention.sliding_window", 0, UINT32_MAX).value_or(c.family->default_window);
  if (c.window == 0) return keys.status();
  ReadWindowLayers(file, keys, c);
  c.window_rope = c.rope;
  // A layer that sees only the window needs no stretching, whatever the context is.
  if (c.family->plain_window_rope) {
    c.window_rope = RopeConfig{};
    const double base = c.family->window_rope_base;
    c.window_rope.base = base != 0 ? base : c.rope.base;
  }
  c.window_rope.base = keys.Number("rope.freq_base_swa", 1, 1e30).value_or(c.window_rope.base);
  return keys.status();
}

Status ReadScales(const GgufFile&, MetadataKeys& keys, ModelConfig& c) {
  const Architecture& f = *c.family;
  const bool layer_norm = f.norm == NormKind::kLayer;
  // Large enough that 1 / sqrt(epsilon) is finite in float.
  c.norm_eps = static_cast<float>(keys.NeedNumber(
      layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-30, 1));
  // In each of these keys, 0 stands for "none".
  const auto scale = [&](const char* key, float otherwise) {
    const auto value = keys.Number(key, 0, kMaxFactor);
    if (value && *value != 0 && *value < kMinFactor) {
      keys.Fail(key, fmt::to_string(*value),
                fmt::format("must be 0 or {} to {}", kMinFactor, kMaxFactor));
    }
    return value ? static_cast<float>(*value) : otherwise;
  };
  // Gemma's 27B models were trained with dim / heads in place of the size of a head.
  const size_t average = c.layers == f.average_scale_layers ? c.dim / c.heads : c.head_dim;
  c.attention_scale = scale("attention.scale", 0);
  if (c.attention_scale == 0) {
    c.attention_scale = 1.0f / std::sqrt(static_cast<float>(std::max<size_t>(1, average)));
  }
  c.attention_soft_cap = scale("attn_logit_softcapping", f.attention_soft_cap);
  c.logit_soft_cap = scale("final_logit_softcapping", f.logit_soft_cap);
  // Granite's logit_scale is what logits are divided by.
  const float divisor =
      f.needs_logit_scale
          ? static_cast<float>(keys.NeedNumber("logit_scale", kMinFactor, kMaxFactor))
          : scale("logit_scale", 0);
  c.logit_scale = divisor != 0 ? 1.0f / divisor : 1.0f;
  // Gemma multiplies embeddings by sqrt(dim), as Vaswani et al. (2017) do.
  const float root = f.scaled_embedding ? std::sqrt(static_cast<float>(c.dim)) : 1.0f;
  c.embedding_scale = scale("embedding_scale", root);
  c.residual_scale = scale("residual_scale", 1);
  if (c.embedding_scale == 0) c.embedding_scale = root;
  if (c.residual_scale == 0) c.residual_scale = 1;
  if (f.may_be_parallel) c.parallel_residual = keys.NeedFlag("use_parallel_residual");
  return keys.status();
}

Status CheckKvSize(const GgufFile&, MetadataKeys& keys, ModelConfig& c) {
  constexpr uint64_t kBytes = 2 * sizeof(uint16_t);  // a key and a value, f16
  const uint64_t per_position = kBytes * c.layers * c.kv_dim();
  // Dimensions of 0 have been refused. NOLINTNEXTLINE(clang-analyzer-core.DivideZero)
  if (c.context <= kMaxKvBytes / per_position) return {};
  keys.Fail("context_length", fmt::to_string(c.context),
            fmt::format("with {} layers of {} key/value heads of {} that is a cache of {} bytes "
                        "for each position, and the limit is {} bytes in all",
                        c.layers, c.kv_heads, c.head_dim, per_position, kMaxKvBytes));
  return keys.status();
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const GgufFile& file) {
  ModelConfig config;
  TRY_OK(CheckArchitecture(file, config));
  MetadataKeys keys(file, config.architecture);
  config.dim = keys.NeedSize("embedding_length", 1, kMaxDim);
  config.layers = keys.NeedSize("block_count", 1, kMaxLayers);
  config.context = keys.NeedSize("context_length", 1, kMaxContext);
  for (const auto step :
       {ReadHeads, ReadExperts, ReadVocabulary, ReadRope, ReadWindow, ReadScales, CheckKvSize}) {
    TRY_OK(step(file, keys, config));
  }
  return config;
}

}  // namespace lockstep
