// llama-server's own routes: POST /completion, /completions and /infill, which editors use.
// Stateless, safe from any thread.
#pragma once

#include "server/api/dialect.h"

namespace lockstep {

extern const Dialect kLlamaCompletion, kLlamaInfill;

}  // namespace lockstep
