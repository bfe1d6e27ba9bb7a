// POST /api/generate: an answer to a prompt, through the model's chat template or, "raw", without
// it. Pure functions, safe from any thread.
#pragma once

#include "server/api/dialect.h"

namespace lockstep {

extern const Dialect kOllamaGenerate;

}  // namespace lockstep
