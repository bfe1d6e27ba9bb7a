// What a conversation allows of its tools, as a grammar. Pure functions, safe from any thread.
#pragma once

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"
#include "server/generation/tool_calls.h"

namespace lockstep {

// Binds the answer to calls of the tools that may be called, with arguments of their schemas, and,
// where the choice is "auto", what is no call to the format. Stop strings act outside of calls.
// REQUIRES: there are tools, and the choice is not "none".
[[nodiscard]] Status BindTools(ToolStyle style, const Conversation& conversation,
                               const FieldNames& names, ReadContext& context,
                               GenerationOptions* options);

}  // namespace lockstep
