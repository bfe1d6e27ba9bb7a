// POST /v1/completions: one or more prompts, as texts or token ids. Safe from any thread.
#pragma once

#include "server/api/dialect.h"

namespace lockstep {

extern const Dialect kOpenAiCompletions;

}  // namespace lockstep
