// The steps of ReadModelConfig that read what layers may differ in: windows, heads, feed-forward
// networks. Each fills fields of the configuration and relies on what those before it have read.
#pragma once

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/gguf/metadata_keys.h"
#include "core/transformer/config_types.h"

namespace lockstep {

inline constexpr size_t kMaxLayers = 1024;

// The window, and which layers have it.
[[nodiscard]] Status ReadWindows(const GgufFile& file, MetadataKeys& keys, ModelConfig& config);
// Heads and their sizes; of latent attention, its vectors'. REQUIRES: ReadWindows.
[[nodiscard]] Status ReadHeads(const GgufFile& file, MetadataKeys& keys, ModelConfig& config);
// Dense networks, experts and what chooses them. REQUIRES: the vocabulary's size.
[[nodiscard]] Status ReadFeedForwards(const GgufFile& file, MetadataKeys& keys,
                                      ModelConfig& config);
// Which layers rotate how many values. REQUIRES: config.rope_dim and window_rope_dim.
void SetRotations(ModelConfig& config);

}  // namespace lockstep
