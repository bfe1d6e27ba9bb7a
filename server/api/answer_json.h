// The parts of answers that several dialects share. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "server/generation/generation.h"
#include "server/json/json_text.h"

namespace lockstep {

// {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"}
Json UsageJson(const Usage& usage);
// {"total", "cache", "processed", "time_ms"}: how much of the prompts has been read, in the words
// of llama-server, whose name for it is "prompt_progress".
Json PromptProgressJson(const Generation& generation);
// The seed as the answer's client knows it: with the sign that it had in the request.
Json SeedJson(const Answer& answer);
// A logprob, as the shortest decimal number that names this float; none is below -9999, as JSON
// knows no infinity.
double LogprobNumber(float logprob);
// The token's bytes as numbers.
Json BytesJson(std::string_view bytes);

}  // namespace lockstep
