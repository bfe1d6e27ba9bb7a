// What one model file says of itself, read from GGUF metadata and checked.
#pragma once

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/transformer/config_types.h"

namespace lockstep {

// Errors are kBadFile: an unsupported architecture, a missing or impossible value. The vocabulary
// size is the row count of token_embd.weight.
[[nodiscard]] Result<ModelConfig> ReadModelConfig(const GgufFile& file);

}  // namespace lockstep
