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
// Does what ReadFunctionTool does for a tool that is read out of `value`; returns what a prompt is
// to show of it. "strict" is the grammar's business, and stands there only where it changes
// something.
Json ReadFlatFunction(FieldReader& fields, const Json& value, std::set<std::string>* names);
// Whether the input of a custom tool can be bound: it is any text, or that of a regular expression.
// Grammars of Lark's cannot.
bool TakesKnownText(const Json& tool);
// {"name"[, "description", "format"]}, as a function whose one argument is the text, {"name", ...}.
// REQUIRES: TakesKnownText.
Json ReadCustomTool(FieldReader& custom, ReadContext& context, std::set<std::string>* names);

// tools and functions, of which a request may have one. Tools of other types, which run on others'
// servers, and custom ones whose input cannot be bound are named as ignored. The others come
// checked, without their fields that are null, and otherwise as they were: templates render them as
// JSON.
ToolList ReadTools(FieldReader& fields, ReadContext& context);

}  // namespace lockstep
