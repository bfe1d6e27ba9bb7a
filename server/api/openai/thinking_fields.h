// What a chat's request says of thinking, under the names that clients of the day use. Pure
// functions, safe from any thread.
#pragma once

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// reasoning_effort, enable_thinking, thinking_token_budget and reasoning_budget_tokens (-1 is no
// limit), OpenRouter's reasoning {effort, max_tokens, enabled} and thinking {type, budget_tokens}
// of GLM and Anthropic. Named as ignored: include_reasoning that is false, and reasoning_format.
void ReadThinking(FieldReader& fields, ReadContext& context, Thinking* thinking);

}  // namespace lockstep
