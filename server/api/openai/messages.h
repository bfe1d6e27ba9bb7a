// The messages of a chat, from a request to what the model's chat template is given. Pure
// functions, safe from any thread.
#pragma once

#include <string_view>

#include "server/api/openai/tool_list.h"  // kMaxTools: a message has no more calls
#include "server/api/request_fields.h"

namespace lockstep {

inline constexpr size_t kMaxMessages = 256;

// Messages come checked, and in the form for which templates are written: of content in parts the
// texts, joined by line breaks; "developer" as "system" where the template's source does not name
// it; the arguments of tool calls as the object that their text says; calls and answers in the
// forms of "function_call" and "custom" as calls of functions. What servers put into their answers,
// this one among them, is taken back.
Json ReadMessages(FieldReader& fields, ReadContext& context, std::string_view template_source);

}  // namespace lockstep
