// POST /v1/embeddings, as OpenAI defines it: vectors of texts, as numbers or in base64.
#pragma once

#include "server/api/encode_api.h"

namespace lockstep {

extern const EncodeDialect kOpenAiEmbeddings;

}  // namespace lockstep
