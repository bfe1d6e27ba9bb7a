// What a chat allows of its tools, as a grammar. Pure functions, safe from any thread.
#pragma once

#include "server/api/openai/chat_request.h"

namespace lockstep {

// tool_choice, function_call and parallel_tool_calls, after the tools themselves and the format of
// the answer were read. With the choice "none" the model does not see the tools. Else arguments are
// bound to their schemas, and of the answer that is no call the format still holds.
void ReadToolChoice(FieldReader& fields, ReadContext& context, ChatRequest& request);

}  // namespace lockstep
