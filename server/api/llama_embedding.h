// llama-server's own route for vectors: POST /embedding. Stateless, safe from any thread.
#pragma once

#include "server/api/encode_api.h"

namespace lockstep {

extern const EncodeDialect kLlamaEmbedding;

}  // namespace lockstep
