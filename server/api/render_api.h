// POST /v1/completions/render and /v1/chat/completions/render: the tokens that a request's prompts
// become, by which a gateway knows what a replica has cached (vLLM's routes). Thread-safe.
#pragma once

#include <string>

#include "server/api/request_fields.h"

namespace lockstep {

// Both take what the route without /render takes, refuse what it refuses, and generate nothing. The
// reply has "token_ids" of a chat, and is a list of such objects for the prompts of a completion.
[[nodiscard]] Result<std::string> AnswerRenderCompletions(const Json& body, ReadContext& context);
[[nodiscard]] Result<std::string> AnswerRenderChat(const Json& body, ReadContext& context);

}  // namespace lockstep
