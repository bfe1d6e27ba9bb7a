// Most families give one number for all layers, and newer ones an array; both become a value for
// each layer here, so that nothing else has to know which it was. Sizes that no key gives are those
// of the tensors.
#include "core/transformer/layer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace lockstep {
namespace {

// Far beyond every published model; they keep all products of sizes within 64 bits.
constexpr size_t kMaxHeads = 1024;
constexpr size_t kMaxHeadDim = 1024;
constexpr size_t kMaxFfnDim = 1 << 20;
constexpr size_t kMaxExperts = 1024;
constexpr double kMaxExpertScale = 1e6;

Status CheckHeadSize(const GgufFile& file, const MetadataKeys& keys, const char* key, size_t size) {
  if (size <= kMaxHeadDim && size % 2 == 0) return {};
  return file.Fail(fmt::format(
      "the head size ({} or embedding_length / head_count) is {}, but must be even and at most {}",
      keys.Name(key), size, kMaxHeadDim));
}

// The last layers of Gemma 4 have no keys and values of their own: those with a window read what
// the last layer with a window before all of them has, and those without the last one without.
Status ReadSharing(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  for (size_t i = 0; i < c.layers.size(); ++i) c.layers[i].kv_layer = i;
  if (!c.family->shares_kv) return {};
  const char* const key = "attention.shared_kv_layers";
  const size_t shared = keys.Size(key, 0, c.layers.size() - 1).value_or(0);
  if (!keys.status()) return keys.status();
  const size_t own = c.layers.size() - shared;
  for (size_t i = own; i < c.layers.size(); ++i) {
    LayerConfig& layer = c.layers[i];
    const size_t back = layer.window ? 2 : 1;
    const LayerConfig* const from = own >= back ? &c.layers[own - back] : nullptr;
    if (from == nullptr || from->window != layer.window || from->kv_heads != layer.kv_heads ||
        layer.heads % from->kv_heads != 0) {
      return file.Fail(fmt::format(
          "{} is {}, so that layer {} reads the keys and values of the {} of the layers before {}, "
          "but there is no such layer of its kind",
          keys.Name(key), shared, i, back == 1 ? "last" : "last but one", own));
    }
    layer.kv_layer = own - back;
  }
  return {};
}

// Absorbed files give the sizes of a head before the absorption under names of their own.
Status ReadLatentHeads(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  const size_t heads = keys.NeedSize("attention.head_count", 1, kMaxHeads);
  LatentConfig& l = c.latent;
  l.rank = keys.NeedSize("attention.kv_lora_rank", 1, kMaxHeadDim);
  l.rope = keys.NeedSize("rope.dimension_count", 2, kMaxHeadDim);
  auto key_size = keys.Size("attention.key_length_mla", 2, kMaxHeadDim);
  auto value_size = keys.Size("attention.value_length_mla", 1, kMaxHeadDim);
  if (!key_size || !value_size) {
    key_size = keys.NeedSize("attention.key_length", 2, kMaxHeadDim);
    value_size = keys.NeedSize("attention.value_length", 1, kMaxHeadDim);
  }
  if (file.FindTensor("blk.0.attn_q_a.weight") != nullptr) {
    l.query_rank = keys.NeedSize("attention.q_lora_rank", 1, 1 << 18);
  }
  if (!keys.status()) return keys.status();
  if (*key_size <= l.rope || l.rope % 2 != 0) {
    keys.Fail("rope.dimension_count", fmt::to_string(l.rope),
              fmt::format("must be even and less than the head size {}", *key_size));
  }
  TRY_OK(keys.status());
  TRY_OK(CheckHeadSize(file, keys, "attention.kv_lora_rank", l.rank + l.rope));
  l.plain = *key_size - l.rope;
  l.value = *value_size;
  for (LayerConfig& layer : c.layers) {
    layer.heads = heads;
    layer.kv_heads = 1;
    layer.head = {.key = l.rank + l.rope, .value = l.rank, .value_in_key = true};
  }
  return {};
}

// The expert that every token goes to is in every layer that has experts, or in none.
std::optional<size_t> FindSharedDim(const GgufFile& file, const ModelConfig& c) {
  for (size_t i = 0; i < c.layers.size(); ++i) {
    const GgufTensor* tensor = file.FindTensor(fmt::format("blk.{}.ffn_up_shexp.weight", i));
    if (tensor != nullptr) return tensor->rows();
  }
  return std::nullopt;
}

Status ReadShared(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  const Presence presence = c.family->shared_expert;
  if (presence == Presence::kNo) return {};
  const auto size = FindSharedDim(file, c);
  const bool named = keys.Size("expert_shared_count", 0, kMaxExperts).value_or(0) != 0 ||
                     keys.Size("expert_shared_feed_forward_length", 0, kMaxFfnDim).value_or(0) != 0;
  TRY_OK(keys.status());
  if (!size && (named || presence == Presence::kMust)) {
    return file.Fail("the model has a shared expert, but no tensor ffn_up_shexp.weight");
  }
  if (size.value_or(0) > kMaxFfnDim) {
    return file.Fail(
        fmt::format("the shared expert (ffn_up_shexp.weight) has {} rows, but the "
                    "limit is {}",
                    *size, kMaxFfnDim));
  }
  for (LayerConfig& layer : c.layers) {
    if (layer.experts) layer.ffn_dim = size.value_or(0);
  }
  return {};
}

Gating DefaultGating(const ModelConfig& c) {
  // Early files of GLM-4.7-Flash do not say that its scores go through a sigmoid.
  const bool flash =
      c.family->latent && c.vocab == 154880 && (c.layers.size() == 47 || c.layers.size() == 48);
  return flash ? Gating::kSigmoid : c.family->gating;
}

Status ReadRouter(MetadataKeys& keys, ModelConfig& c) {
  MixtureConfig& m = c.mixture;
  m.gating = DefaultGating(c);
  m.normalize = c.family->normalize_experts;
  // 0 stands for the default, for one group and for "not scaled".
  m.groups = std::max<size_t>(1, keys.Size("expert_group_count", 0, m.experts).value_or(0));
  m.groups_used = m.groups;
  if (m.groups > 1) {
    m.groups_used = keys.NeedSize("expert_group_used_count", 1, m.groups);
    if (keys.status() && m.experts % m.groups != 0) {
      keys.Fail("expert_group_count", fmt::to_string(m.groups),
                fmt::format("must divide expert_count {}", m.experts));
    }
    if (keys.status() && m.used > m.experts / m.groups * m.groups_used) {
      keys.Fail("expert_used_count", fmt::to_string(m.used),
                fmt::format("{} groups of experts have only {}", m.groups_used,
                            m.experts / m.groups * m.groups_used));
    }
  }
  if (c.family->fixed_router) return keys.status();
  const size_t gating = keys.Size("expert_gating_func", 0, 4).value_or(0);
  if (gating != 0) m.gating = static_cast<Gating>(gating);
  const double scale = keys.Number("expert_weights_scale", 0, kMaxExpertScale).value_or(0);
  if (scale != 0) m.scale = static_cast<float>(scale);
  m.normalize = keys.Flag("expert_weights_norm").value_or(m.normalize);
  return keys.status();
}

}  // namespace

std::vector<bool> LayerFlags(const GgufFile& file, MetadataKeys& keys, std::string_view key,
                             const ModelConfig& c) {
  const auto& array = std::get<GgufArray>(file.Find(keys.Name(key))->value);
  const size_t n = c.layers_in_file();
  std::vector<bool> flags(n);
  if (array.element_type != Id(GgufType::kBool)) {
    const auto numbers = keys.Sizes(key, n, 0, 1);
    for (size_t i = 0; numbers && i < n; ++i) flags[i] = (*numbers)[i] != 0;
  } else if (array.count != n) {
    keys.Fail(key, fmt::format("an array of {} bool", array.count),
              fmt::format("must be a number, or a bool for each of {} layers", n));
  } else {
    for (size_t i = 0; i < n; ++i) flags[i] = array.data[i] != 0;
  }
  return flags;
}

// A period, or a flag for each layer. With the period 6, layers 0 to 4 have the window, layer 5
// sees everything, and so on.
Status ReadWindows(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  const Architecture& f = *c.family;
  const bool model_has = f.window_model_layers == 0 || f.window_model_layers == c.layers.size();
  if (!f.may_have_window || !model_has) return {};
  // 0 stands for "none", as converters write it.
  c.window = keys.Size("attention.sliding_window", 0, UINT32_MAX).value_or(f.default_window);
  if (c.window == 0) return keys.status();
  const std::string_view key = "attention.sliding_window_pattern";
  const GgufPair* pair = file.Find(keys.Name(key));
  if (pair != nullptr && std::holds_alternative<GgufArray>(pair->value)) {
    const std::vector<bool> flags = LayerFlags(file, keys, key, c);
    for (size_t i = 0; i < c.layers.size(); ++i) c.layers[i].window = flags[i];
    return keys.status();
  }
  const size_t period = keys.Size(key, 0, kMaxLayers).value_or(f.window_period);
  for (size_t i = 0; i < c.layers.size(); ++i) {
    const size_t whole = f.whole_first ? 0 : period - 1;
    c.layers[i].window = period == 0 || i % period != whole;
  }
  return keys.status();
}

Status ReadHeads(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  if (c.family->latent) {
    TRY_OK(ReadLatentHeads(file, keys, c));
    return ReadSharing(file, keys, c);
  }
  const size_t n = c.layers.size(), in_file = c.layers_in_file();
  const std::vector<size_t> heads = keys.NeedSizes("attention.head_count", in_file, 1, kMaxHeads);
  // Fewer key/value heads than query heads is grouped-query attention (Ainslie et al. 2023); one
  // for all is multi-query attention. None marks a layer that does not attend.
  const RecurrentLayers told = c.family->recurrent_layers;
  const bool marked =
      told == RecurrentLayers::kNoKeyHeads || told == RecurrentLayers::kNoOtherBranch;
  const size_t least = marked ? 0 : 1;
  const auto kv_heads =
      keys.Sizes("attention.head_count_kv", in_file, least, kMaxHeads).value_or(heads);
  const auto key_size = keys.Size("attention.key_length", 2, kMaxHeadDim);
  const auto value_size = keys.Size("attention.value_length", 1, kMaxHeadDim);
  if (!keys.status()) return keys.status();
  for (size_t i = 0; i < n; ++i) {
    if (kv_heads[i] == 0 || heads[i] % kv_heads[i] == 0) continue;
    keys.Fail("attention.head_count", fmt::to_string(heads[i]),
              fmt::format("must be a multiple of head_count_kv {}", kv_heads[i]));
  }
  // Slopes of distance are those of a number of heads, and one series serves all layers.
  const auto other = std::ranges::find_if(heads, [&](size_t h) { return h != heads[0]; });
  if (c.family->distance_slopes && other != heads.end()) {
    keys.Fail("attention.head_count", fmt::to_string(*other),
              fmt::format("must be that of the first layer, {}", heads[0]));
  }
  if (!key_size && c.dim % heads[0] != 0) {
    keys.Fail("embedding_length", fmt::to_string(c.dim),
              fmt::format("must be a multiple of head_count {}", heads[0]));
  }
  if (!keys.status()) return keys.status();
  HeadShape shape = {.key = key_size.value_or(c.dim / heads[0])};
  shape.value = value_size.value_or(shape.key);
  TRY_OK(CheckHeadSize(file, keys, "attention.key_length", shape.key));
  // A gate for each value of a query is one for each value that is attended to.
  if (c.family->gated_attention && shape.value != shape.key) {
    keys.Fail("attention.value_length", fmt::to_string(shape.value),
              fmt::format("must be that of the keys, {}", shape.key));
    return keys.status();
  }
  HeadShape window_shape = shape;
  if (c.family->window_heads && c.window != 0) {
    window_shape.key = keys.Size("attention.key_length_swa", 2, kMaxHeadDim).value_or(shape.key);
    window_shape.value =
        keys.Size("attention.value_length_swa", 1, kMaxHeadDim).value_or(shape.value);
    TRY_OK(keys.status());
    TRY_OK(CheckHeadSize(file, keys, "attention.key_length_swa", window_shape.key));
  }
  for (size_t i = 0; i < n; ++i) {
    c.layers[i].heads = heads[i];
    c.layers[i].kv_heads = kv_heads[i];
    c.layers[i].recurrent = told == RecurrentLayers::kAll || kv_heads[i] == 0;
    c.layers[i].head = c.layers[i].window ? window_shape : shape;
  }
  return ReadSharing(file, keys, c);
}

Status ReadFeedForwards(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  const Presence presence = c.family->experts;
  MixtureConfig& m = c.mixture;
  const size_t n = c.layers.size();
  // A family without experts may still say "expert_count 0", and nothing else.
  const size_t most = presence == Presence::kNo ? 0 : kMaxExperts;
  m.experts = presence == Presence::kMust ? keys.NeedSize("expert_count", 1, most)
                                          : keys.Size("expert_count", 0, most).value_or(0);
  const char* const ffn_key = "feed_forward_length";
  const bool one_branch = c.family->recurrent_layers == RecurrentLayers::kNoOtherBranch;
  if (one_branch) {
    const auto sizes = keys.NeedSizes(ffn_key, c.layers_in_file(), 0, kMaxFfnDim);
    TRY_OK(keys.status());
    for (size_t i = 0; i < n; ++i) {
      if (sizes[i] == 0) continue;
      c.layers[i].ffn_dim = sizes[i];
      c.layers[i].kv_heads = 0;
      c.layers[i].recurrent = false;
    }
  }
  if (m.experts != 0) {
    m.used = keys.NeedSize("expert_used_count", 1, m.experts);
    // Mixtral's files, of architecture llama, have the size of an expert in feed_forward_length.
    const auto own = keys.Size("expert_feed_forward_length", 1, kMaxFfnDim);
    m.ffn_dim = own ? *own : keys.NeedSize(ffn_key, 1, kMaxFfnDim);
    if (const auto width = keys.Size("moe_latent_size", 0, UINT32_MAX); width.value_or(0) != 0) {
      keys.Fail("moe_latent_size", fmt::to_string(*width),
                "lockstep runs experts that take the embedding itself only");
    }
    TRY_OK(keys.status());
    const size_t first = keys.Size("leading_dense_block_count", 0, n).value_or(0);
    const size_t step = keys.Size("interleave_moe_layer_step", 1, kMaxLayers).value_or(1);
    // Nomic's encoders have experts in the second layer of as many.
    const size_t every = keys.Size("moe_every_n_layers", 0, kMaxLayers).value_or(0);
    for (size_t i = 0; i < n; ++i) {
      c.layers[i].experts =
          c.family->dense_beside_experts
              ? file.FindTensor(fmt::format("blk.{}.ffn_gate_inp.weight", i)) != nullptr
          : every != 0
              ? i % every == 1
              : i >= first && (i + 1) % step == 0 && (!one_branch || c.layers[i].ffn_dim != 0);
    }
    TRY_OK(ReadRouter(keys, c));
    TRY_OK(ReadShared(file, keys, c));
  }
  if (one_branch) return keys.status();
  const auto is_dense = [&](const LayerConfig& layer) {
    return !layer.experts || c.family->dense_beside_experts;
  };
  if (std::none_of(c.layers.begin(), c.layers.end(), is_dense)) return keys.status();
  const std::vector<size_t> sizes = keys.NeedSizes(ffn_key, c.layers_in_file(), 1, kMaxFfnDim);
  for (size_t i = 0; i < n; ++i) {
    if (is_dense(c.layers[i])) c.layers[i].ffn_dim = sizes[i];
  }
  return keys.status();
}

void SetRotations(ModelConfig& c) {
  const Architecture& f = *c.family;
  for (size_t i = 0; i < c.layers.size(); ++i) {
    LayerConfig& layer = c.layers[i];
    // SmolLM3's layers without rotation (NoPE) are the last of each period: 3, 7, 11, ... for 4.
    const bool never = f.no_rope_period != 0 && i % f.no_rope_period == f.no_rope_period - 1;
    if (never || (f.rotates_windows_only && c.window != 0 && !layer.window)) continue;
    layer.rope_dim = layer.window ? c.window_rope_dim : c.rope_dim;
  }
}

}  // namespace lockstep
