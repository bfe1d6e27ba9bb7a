#include "core/model_config.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "core/text.h"

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

// Reads sizes below "llama." and keeps the first error, so that a call reads as a declaration.
class SizeReader {
 public:
  explicit SizeReader(const GgufFile& file) : file_(file) {}

  size_t Required(const char* key, size_t min, size_t max) {
    const std::optional<size_t> value = Optional(key, min, max);
    if (!value && status_) status_ = file_.Bad(fmt::format("llama.{} is missing", key));
    return value.value_or(min);
  }

  std::optional<size_t> Optional(const char* key, size_t min, size_t max) {
    const auto value = file_.GetU64(std::string("llama.") + key);
    if (!value) {
      if (status_) status_ = tl::unexpected(value.error());
      return std::nullopt;
    }
    if (*value && (**value < min || **value > max) && status_) {
      status_ =
          file_.Bad(fmt::format("llama.{} is {}, but must be {} to {}", key, **value, min, max));
    }
    return *value;
  }

  const Status& status() const { return status_; }

 private:
  const GgufFile& file_;
  Status status_;
};

Status CheckArchitecture(const GgufFile& file, ModelConfig& config) {
  if (Status whole = file.CheckWhole(); !whole) return whole;
  if (file.tensors().empty()) {
    return file.Bad("n_tensors is 0: the file has no weights, perhaps a vocabulary only");
  }
  const auto architecture = file.GetString("general.architecture");
  if (!architecture) return tl::unexpected(architecture.error());
  if (!*architecture) return file.Bad("general.architecture is missing");
  if (**architecture != "llama") {
    return file.Bad(fmt::format("general.architecture is {}, but lockstep runs \"llama\" only",
                                Quoted(**architecture)));
  }
  config.architecture = **architecture;
  const auto name = file.GetString("general.name");
  if (!name) return tl::unexpected(name.error());
  config.name = name->value_or(config.architecture);
  return {};
}

Status ReadSizes(const GgufFile& file, ModelConfig& c) {
  SizeReader sizes(file);
  c.dim = sizes.Required("embedding_length", 1, kMaxDim);
  c.layers = sizes.Required("block_count", 1, kMaxLayers);
  c.heads = sizes.Required("attention.head_count", 1, kMaxHeads);
  c.kv_heads = sizes.Optional("attention.head_count_kv", 1, kMaxHeads).value_or(c.heads);
  c.ffn_dim = sizes.Required("feed_forward_length", 1, kMaxFfnDim);
  c.context = sizes.Required("context_length", 1, kMaxContext);
  const auto key_length = sizes.Optional("attention.key_length", 2, kMaxHeadDim);
  const auto value_length = sizes.Optional("attention.value_length", 2, kMaxHeadDim);
  const auto rope_dim = sizes.Optional("rope.dimension_count", 2, kMaxHeadDim);
  const auto vocab = sizes.Optional("vocab_size", 1, kMaxVocab);
  if (sizes.status()) sizes.Optional("expert_count", 0, 0);
  if (!sizes.status()) return sizes.status();

  if (c.heads % c.kv_heads != 0) {
    return file.Bad(
        fmt::format("llama.attention.head_count is {}, not a multiple of head_count_kv {}", c.heads,
                    c.kv_heads));
  }
  if (!key_length && c.dim % c.heads != 0) {
    return file.Bad(fmt::format("llama.embedding_length is {}, not a multiple of head_count {}",
                                c.dim, c.heads));
  }
  c.head_dim = key_length.value_or(c.dim / c.heads);
  if (c.head_dim > kMaxHeadDim || c.head_dim % 2 != 0) {
    return file.Bad(
        fmt::format("the head size (llama.attention.key_length or embedding_length / "
                    "head_count) is {}, but must be even and at most {}",
                    c.head_dim, kMaxHeadDim));
  }
  if (value_length.value_or(c.head_dim) != c.head_dim) {
    return file.Bad(
        fmt::format("llama.attention.value_length is {}, but must be that of the keys, {}",
                    *value_length, c.head_dim));
  }
  c.rope_dim = rope_dim.value_or(c.head_dim);
  if (c.rope_dim % 2 != 0 || c.rope_dim > c.head_dim) {
    return file.Bad(fmt::format(
        "llama.rope.dimension_count is {}, but must be even and at most the head size {}",
        c.rope_dim, c.head_dim));
  }

  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr) return file.Bad("tensor token_embd.weight is missing");
  c.vocab = embedding->rows();
  if (c.vocab > kMaxVocab) {
    return file.Bad(fmt::format("tensor token_embd.weight has {} rows, but the limit is {}",
                                c.vocab, kMaxVocab));
  }
  if (vocab.value_or(c.vocab) != c.vocab) {
    return file.Bad(fmt::format("llama.vocab_size is {}, but tensor token_embd.weight has {} rows",
                                *vocab, c.vocab));
  }
  return {};
}

Status ReadRope(const GgufFile& file, ModelConfig& config) {
  const auto base = file.GetFloat("llama.rope.freq_base");
  if (!base) return tl::unexpected(base.error());
  config.rope_base = base->value_or(config.rope_base);
  // Below 1 the frequencies would grow instead of fall. Written so that NaN fails.
  if (!(config.rope_base >= 1 && std::isfinite(config.rope_base))) {
    return file.Bad(fmt::format("llama.rope.freq_base is {}, but must be finite and at least 1",
                                config.rope_base));
  }
  const auto scaling = file.GetString("llama.rope.scaling.type");
  if (!scaling) return tl::unexpected(scaling.error());
  if (scaling->value_or("none") != "none") {
    return file.Bad(fmt::format("llama.rope.scaling.type is {}, but lockstep runs \"none\" only",
                                Quoted(**scaling)));
  }
  const auto linear = file.GetFloat("llama.rope.scale_linear");
  if (!linear) return tl::unexpected(linear.error());
  if (linear->value_or(1) != 1) {
    return file.Bad(
        fmt::format("llama.rope.scale_linear is {}, but lockstep runs 1 only", **linear));
  }
  return {};
}

Status ReadNormEpsilon(const GgufFile& file, ModelConfig& config) {
  const char* key = "llama.attention.layer_norm_rms_epsilon";
  const auto epsilon = file.GetFloat(key);
  if (!epsilon) return tl::unexpected(epsilon.error());
  if (!*epsilon) return file.Bad(fmt::format("{} is missing", key));
  // Large enough that 1 / sqrt(epsilon) is finite in float. Written so that NaN fails.
  if (!(**epsilon >= 1e-30 && **epsilon <= 1)) {
    return file.Bad(fmt::format("{} is {}, but must be 1e-30 to 1", key, **epsilon));
  }
  config.norm_eps = static_cast<float>(**epsilon);
  return {};
}

Status CheckKvSize(const GgufFile& file, const ModelConfig& c) {
  constexpr uint64_t kBytes = 2 * sizeof(uint16_t);  // a key and a value, f16
  const uint64_t per_position = kBytes * c.layers * c.kv_dim();
  // The caller has refused dimensions of 0. NOLINTNEXTLINE(clang-analyzer-core.DivideZero)
  if (c.context <= kMaxKvBytes / per_position) return {};
  return file.Bad(fmt::format(
      "llama.context_length is {}: with {} layers of {} key/value heads of {} that is a cache of "
      "{} bytes for each position, but the limit is {} bytes in all",
      c.context, c.layers, c.kv_heads, c.head_dim, per_position, kMaxKvBytes));
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const GgufFile& file) {
  ModelConfig config;
  for (const auto step : {CheckArchitecture, ReadSizes, ReadRope, ReadNormEpsilon}) {
    if (Status s = step(file, config); !s) return tl::unexpected(s.error());
  }
  if (Status s = CheckKvSize(file, config); !s) return tl::unexpected(s.error());
  return config;
}

}  // namespace lockstep
