// Which tools a chat may or must call, in OpenAI's fields. Pure functions, safe from any thread.
#pragma once

#include <optional>
#include <string_view>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Whether one of the tools, in the form of ToolList, has that name.
bool IsTool(const Json& tools, std::string_view name);

// The field as a choice that names no tool: none, auto, required, or any, which is Mistral's word
// for required; alone or as {"type": ...}. What is absent is auto. Nothing where the field says
// something else, be it the name of a tool that is called "any".
std::optional<ToolChoice> ReadChoiceWord(FieldReader& fields, std::string_view name,
                                         ReadContext& context, const Json& tools);

// tool_choice, function_call and parallel_tool_calls, after the tools themselves were read.
ToolChoice ReadToolChoice(FieldReader& fields, ReadContext& context, const ToolList& tools);

}  // namespace lockstep
