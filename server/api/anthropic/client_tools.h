// The tools of Anthropic's API that clients run themselves, and which of them may be called. Pure
// functions, safe from any thread.
#pragma once

#include <set>
#include <string>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// "tools", as functions. Those of a type of Anthropic's own, whose servers or models know what they
// are, are named as ignored. One whose loading is deferred is left out unless it is among `loaded`.
ToolList ReadClientTools(FieldReader& fields, ReadContext& context,
                         const std::set<std::string>& loaded);

// "tool_choice": {"type": auto, any, tool or none[, "name"][, "disable_parallel_tool_use"]}
ToolChoice ReadClientToolChoice(FieldReader& fields, ReadContext& context);

}  // namespace lockstep
