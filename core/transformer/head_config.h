// Reads what a model makes of whole texts: vectors or scores, and of which of their rows.
#pragma once

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/gguf/metadata_keys.h"
#include "core/transformer/config_types.h"

namespace lockstep {

// REQUIRES: all other steps of ReadModelConfig are done.
[[nodiscard]] Status ReadHead(const GgufFile& file, MetadataKeys& keys, ModelConfig& config);

}  // namespace lockstep
