// What one model file says of itself, read from GGUF metadata and checked.
#pragma once

#include <optional>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/transformer/config_types.h"

namespace lockstep {

// Errors are kBadFile: an unsupported architecture, a missing or impossible value. The vocabulary
// size is the row count of token_embd.weight.
[[nodiscard]] Result<ModelConfig> ReadModelConfig(const GgufFile& file);

// The configuration of the first block behind the model's layers, which guesses ahead (MtpWeights):
// a model of one layer like the last that attends. Nothing where the file has none, or one that
// lockstep does not run; it is skipped then.
std::optional<ModelConfig> MtpConfig(const ModelConfig& config);

}  // namespace lockstep
