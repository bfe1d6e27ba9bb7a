// POST /v1/messages and /v1/messages/count_tokens of Anthropic's API: a conversation, put into a
// prompt by the model's own chat template. Pure functions, safe from any thread.
#pragma once

#include <string>

#include "server/api/dialect.h"

namespace lockstep {

extern const Dialect kAnthropicMessages;
// POST /v1/messages/count_tokens: {"input_tokens"} of a request, which need not have max_tokens.
[[nodiscard]] Result<std::string> AnswerCountTokens(const Json& body, ReadContext& context);

}  // namespace lockstep
