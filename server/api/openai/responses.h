// POST /v1/responses, OpenAI's newer way of chatting: an answer is a list of items (a thought, a
// message, calls of tools), and a stream tells of each item's growth. Pure functions, safe from any
// thread.
#pragma once

#include "server/api/dialect.h"

namespace lockstep {

extern const Dialect kOpenAiResponses;

// POST /v1/responses/input_tokens: how many tokens the same body's prompt has.
Result<std::string> AnswerInputTokens(const Json& body, ReadContext& context);

}  // namespace lockstep
