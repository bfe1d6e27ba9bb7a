// The steps of ReadModelConfig that read what layers may differ in: windows, heads, feed-forward
// networks. Each fills fields of the configuration and relies on what those before it have read.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/gguf/metadata_keys.h"
#include "core/transformer/config_types.h"

namespace lockstep {

inline constexpr size_t kMaxLayers = 1024;

// A flag for each layer, from an array of bools or of numbers. Layers that are skipped have one,
// too. REQUIRES: the key's value is an array.
std::vector<bool> LayerFlags(const GgufFile& file, MetadataKeys& keys, std::string_view key,
                             const ModelConfig& config);

// The window, and which layers have it.
[[nodiscard]] Status ReadWindows(const GgufFile& file, MetadataKeys& keys, ModelConfig& config);
// Heads and their sizes; of latent attention, its vectors'. REQUIRES: ReadWindows.
[[nodiscard]] Status ReadHeads(const GgufFile& file, MetadataKeys& keys, ModelConfig& config);
// Dense networks, experts and what chooses them. REQUIRES: the vocabulary's size.
[[nodiscard]] Status ReadFeedForwards(const GgufFile& file, MetadataKeys& keys,
                                      ModelConfig& config);
// Which layers are recurrent, and their sizes. REQUIRES: the heads, which mark convolutions, and
// config.rope_dim.
[[nodiscard]] Status ReadRecurrence(const GgufFile& file, MetadataKeys& keys, ModelConfig& config);
// Which layers rotate how many values. REQUIRES: config.rope_dim and window_rope_dim.
void SetRotations(ModelConfig& config);

}  // namespace lockstep
