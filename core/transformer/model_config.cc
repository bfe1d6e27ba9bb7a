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
#include "core/kernels/det_math.h"
#include "core/transformer/head_config.h"
#include "core/transformer/layer_config.h"

namespace lockstep {
namespace {

// Far beyond every published model; they keep all products of sizes within 64 bits.
constexpr size_t kMaxDim = 1 << 18;
constexpr size_t kMaxVocab = 1 << 24;
constexpr size_t kMaxContext = 1 << 24;       // position times frequency stays exact enough
constexpr uint64_t kMaxKvBytes = 1ull << 40;  // of one session at full context

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

// What a file is that belongs to a model and is none, by its own words; empty if it may be one.
std::string_view Companion(const GgufFile& file) {
  const std::string_view type = ToldText(file, "general.type");
  const std::string_view architecture = ToldText(file, "general.architecture");
  if (type == "adapter") return "an adapter (LoRA)";
  if (type == "imatrix") return "the importance matrix";
  if (type == "mmproj" || architecture == "clip") return "a projector, for images or sound";
  if (architecture == "controlvector") return "a control vector";
  return "";
}

Status CheckArchitecture(const GgufFile& file, ModelConfig& config) {
  TRY_OK(file.CheckWhole());
  if (const std::string_view what = Companion(file); !what.empty()) {
    return file.Fail(fmt::format("the file is {} of a model: give the model's own file", what));
  }
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
  config.name = CleanName(ToldText(file, "general.name"));
  if (config.name.empty()) config.name = config.architecture;
  return {};
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

// How many values of a head rotate.
void ReadRopeDim(MetadataKeys& keys, ModelConfig& c) {
  // Families with learned positions rotate nothing: rope_dim stays 0.
  if (c.family->pairs == RopePairs::kNone) return;
  // The heads of layers without a window, if there are any; latent ones are rotated in a part.
  const auto full = std::find_if(c.layers.begin(), c.layers.end(),
                                 [](const LayerConfig& layer) { return !layer.window; });
  const HeadShape head = (full != c.layers.end() ? *full : c.layers[0]).head;
  const size_t most = c.family->latent ? c.latent.rope : head.key;
  c.rope_dim = keys.Size("rope.dimension_count", 2, kMaxContext).value_or(most);
  if (keys.status() && (c.rope_dim % 2 != 0 || c.rope_dim > most)) {
    keys.Fail("rope.dimension_count", fmt::to_string(c.rope_dim),
              fmt::format("must be even and at most the head size {}", most));
  }
}

// Positions of text are the same in all streams but the fourth, where they are 0.
void CheckSections(const GgufFile& file, MetadataKeys& keys, const ModelConfig& c) {
  const char* const key = "rope.dimension_sections";
  if (!c.family->sections || file.Find(keys.Name(key)) == nullptr) return;
  const auto sections = keys.Sizes(key, 4, 0, c.rope_dim);
  if (keys.status() && (*sections)[3] != 0) {
    keys.Fail(key, fmt::format("{} in its fourth place", (*sections)[3]),
              "lockstep runs text, whose positions have three");
  }
}

Status ReadRope(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  ReadRopeDim(keys, c);
  CheckSections(file, keys, c);
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
  const auto beta = [&](const char* key, double otherwise) {
    return keys.Number(key, kMinFactor, kMaxFactor).value_or(otherwise);
  };
  if (c.family->yarn_betas) {
    c.rope.beta_fast = beta("rope.scaling.yarn_beta_fast", c.rope.beta_fast);
    c.rope.beta_slow = beta("rope.scaling.yarn_beta_slow", c.rope.beta_slow);
  }
  if (c.rope.scaling == RopeScaling::kYarn) {
    // rope.cc divides by the base's logarithm.
    if (c.rope.base < 2) {
      keys.Fail("rope.freq_base", fmt::to_string(c.rope.base), "\"yarn\" wants at least 2");
    }
    // A variant of it that no model of these families has.
    keys.Number("rope.scaling.yarn_ext_factor", 1, 1);
  }
  // Converters of latent attention write a tenth of what the formula wants.
  const double unit = c.family->latent ? 10 : 1;
  c.rope.log_multiplier =
      unit * keys.Number("rope.scaling.yarn_log_multiplier", 0, kMaxFactor).value_or(0);
  // DeepSeek's scores are multiplied by the temperature (ReadScales), and its rotations are not.
  if (c.architecture == "deepseek2" && c.rope.log_multiplier != 0) {
    c.rope.log_numerator = c.rope.log_multiplier;
  }
  if (!keys.Flag("rope.scaling.finetuned").value_or(true) && c.family->may_not_rotate) {
    c.rope_dim = 0;
  }
  return keys.status();
}

// The angles of the layers with a window.
Status ReadWindowRope(const GgufFile&, MetadataKeys& keys, ModelConfig& c) {
  c.window_rope = c.rope;
  c.window_rope_dim = c.rope_dim;
  if (c.window == 0) return keys.status();
  // A layer that sees only the window needs no stretching, whatever the context is.
  if (c.family->plain_window_rope) {
    c.window_rope = RopeConfig{};
    const double base = c.family->window_rope_base;
    c.window_rope.base = base != 0 ? base : c.rope.base;
  }
  c.window_rope.base = keys.Number("rope.freq_base_swa", 1, 1e30).value_or(c.window_rope.base);
  if (!c.family->window_heads) return keys.status();
  c.window_rope.magnitude = c.rope.magnitude;
  const auto window = std::find_if(c.layers.begin(), c.layers.end(),
                                   [](const LayerConfig& layer) { return layer.window; });
  if (window == c.layers.end()) return keys.status();
  const char* const key = "rope.dimension_count_swa";
  c.window_rope_dim = keys.Size(key, 2, window->head.key).value_or(c.window_rope_dim);
  if (c.window_rope_dim % 2 != 0 || c.window_rope_dim > window->head.key) {
    keys.Fail(key, fmt::to_string(c.window_rope_dim),
              fmt::format("must be even and at most the head size {}", window->head.key));
  }
  return keys.status();
}

// What scores of attention are multiplied by where no key says it.
float AttentionScale(const ModelConfig& c) {
  const LayerConfig& layer = c.layers[0];
  if (c.family->unscaled_scores) return 1;
  if (c.family->latent) {
    // The head counts as it was before its keys were absorbed, and YaRN's temperature is squared.
    const double ln = c.rope.scaling == RopeScaling::kNone ? 0 : DetLog(c.rope.factor);
    double mu = RopeMagnitude(c.rope) * (1 + 0.1 * c.rope.log_multiplier * ln);
    if (c.rope.scaling != RopeScaling::kYarn) mu *= 1 + 0.1 * ln;
    const auto size = static_cast<double>(c.latent.plain + c.latent.rope);
    return static_cast<float>(mu * mu / std::sqrt(size));
  }
  // Gemma's 27B models were trained with dim / heads in place of the size of a head.
  const bool average = c.layers.size() == c.family->average_scale_layers;
  const size_t size = average ? c.dim / layer.heads : layer.head.key;
  return 1.0f / std::sqrt(static_cast<float>(std::max<size_t>(1, size)));
}

// Queries far into a context that was stretched are made longer, so that attention stays sharp.
void ReadQueryScale(MetadataKeys& keys, ModelConfig& c) {
  if (!c.family->scales_queries) return;
  c.query_slope = keys.Number("attention.temperature_scale", 0, kMaxFactor).value_or(0);
  if (c.query_slope == 0) return;
  c.query_length =
      c.family->latent
          ? static_cast<double>(keys.NeedSize("attention.temperature_length", 1, kMaxContext))
          : c.rope.original_context;
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
  const float own_scale = f.unscaled_scores || f.latent ? 0 : scale("attention.scale", 0);
  c.attention_scale = own_scale != 0 ? own_scale : AttentionScale(c);
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
  ReadQueryScale(keys, c);
  if (f.layer_inputs) {
    c.layer_input_dim = keys.Size("embedding_length_per_layer_input", 0, kMaxDim).value_or(0);
  }
  return keys.status();
}

// ModernBERT's files may name what GELU takes the place of.
Status ReadActivation(const GgufFile&, MetadataKeys& keys, ModelConfig& c) {
  const Architecture& f = *c.family;
  c.activation = f.activation;
  if (f.activation != Activation::kGeluErf || !f.gated) return {};
  const char* const key = "hidden_activation";
  const auto name = keys.Text(key);
  if (!name || *name == "gelu" || *name == "geglu") return keys.status();
  if (*name == "silu" || *name == "swiglu" || *name == "swish") {
    c.activation = Activation::kSilu;
  } else {
    keys.Fail(key, Quoted(*name), "lockstep runs \"gelu\" and \"silu\" there only");
  }
  return keys.status();
}

Status CheckKvSize(const GgufFile&, MetadataKeys& keys, ModelConfig& c) {
  uint64_t per_position = 0;  // a key and a value of each head, f16
  for (size_t i = 0; i < c.layers.size(); ++i) {
    const LayerConfig& layer = c.layers[i];
    if (layer.kv_layer != i) continue;
    per_position += sizeof(uint16_t) * layer.kv_heads * (layer.head.key + StoredValue(layer.head));
  }
  const auto attends = std::ranges::find_if(c.layers, &LayerConfig::attends);
  // Dimensions of 0 have been refused. NOLINTNEXTLINE(clang-analyzer-core.DivideZero)
  if (c.context <= kMaxKvBytes / per_position) return {};
  keys.Fail("context_length", fmt::to_string(c.context),
            fmt::format("with {} layers of {} key/value heads of {} that is a cache of {} bytes "
                        "for each position, and the limit is {} bytes in all",
                        std::ranges::count_if(c.layers, &LayerConfig::attends), attends->kv_heads,
                        attends->head.key, per_position, kMaxKvBytes));
  return keys.status();
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const GgufFile& file) {
  ModelConfig config;
  TRY_OK(CheckArchitecture(file, config));
  MetadataKeys keys(file, config.architecture);
  config.dim = keys.NeedSize("embedding_length", 1, kMaxDim);
  const size_t layers = keys.NeedSize("block_count", 1, kMaxLayers);
  config.context = keys.NeedSize("context_length", 1, kMaxContext);
  config.skipped_layers =
      keys.Size("nextn_predict_layers", 0, std::max<size_t>(layers, 1) - 1).value_or(0);
  TRY_OK(keys.status());
  config.layers.resize(layers - config.skipped_layers);
  for (const auto step :
       {ReadVocabulary, ReadWindows, ReadHeads, ReadFeedForwards, ReadRope, ReadWindowRope,
        ReadRecurrence, ReadScales, ReadActivation, ReadHead, CheckKvSize}) {
    TRY_OK(step(file, keys, config));
  }
  SetRotations(config);
  return config;
}

std::optional<ModelConfig> MtpConfig(const ModelConfig& config) {
  if (!config.family->mtp || config.skipped_layers == 0) return std::nullopt;
  const auto last =
      std::find_if(config.layers.rbegin(), config.layers.rend(),
                   [](const LayerConfig& layer) { return layer.attends() && !layer.recurrent; });
  if (last == config.layers.rend()) return std::nullopt;
  ModelConfig mtp = config;
  mtp.layers = {*last};
  mtp.layers[0].kv_layer = 0;
  mtp.skipped_layers = 0;
  mtp.recurrence = {};
  mtp.mtp = true;
  return mtp;
}

}  // namespace lockstep
