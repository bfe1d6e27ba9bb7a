// The messages of a chat, from a request to what the model's chat template is given. Pure
// functions, safe from any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Messages come checked, as Conversation has them: of content in parts the texts, joined by line
// breaks; the arguments of tool calls as the object that their text says; calls and answers in the
// forms of "function_call" and "custom" as calls of functions. What servers put into their answers,
// this one among them, is taken back.
Json ReadMessages(FieldReader& fields, ReadContext& context);

// The text of a part of some content, whose type must be one of these; without a type it is text.
// What answers have beside it is taken and left out.
std::string ReadTextPart(FieldReader& part, std::span<const std::string_view> types);

}  // namespace lockstep
