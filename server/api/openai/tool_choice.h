// Which tools a chat may or must call, in OpenAI's fields. Pure functions, safe from any thread.
#pragma once

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// tool_choice, function_call and parallel_tool_calls, after the tools themselves were read.
ToolChoice ReadToolChoice(FieldReader& fields, ReadContext& context, const ToolList& tools);

}  // namespace lockstep
