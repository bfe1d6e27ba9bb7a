// POST /api/embed, and /api/embeddings as it was before: vectors of texts, as Ollama has them.
#pragma once

#include "server/api/encode_api.h"

namespace lockstep {

extern const EncodeDialect kOllamaEmbed;
extern const EncodeDialect kOllamaEmbeddings;

}  // namespace lockstep
