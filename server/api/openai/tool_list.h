// The tools that a chat offers, in whichever form a client sends them. Pure functions, safe from
// any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Names stand in the grammar and in the text of a call, between quotes or brackets.
bool IsToolName(std::string_view name);

// The fields of a tool, checked; its name, which is none of `names`, becomes one of them.
void ReadFunctionTool(FieldReader& function, std::set<std::string>* names);
// {"name"[, "description", "format": {"type": "text"}]}, as a function whose one argument is the
// text, {"name", ...}.
Json ReadCustomTool(FieldReader& custom, ReadContext& context, std::set<std::string>* names);

// tools and functions, of which a request may have one. The tools come checked, without their
// fields that are null, and otherwise as they were: templates render them as JSON.
ToolList ReadTools(FieldReader& fields, ReadContext& context);

}  // namespace lockstep
