// What the dialects' readers of messages have in common. Pure functions, safe from any thread.
#pragma once

#include <functional>
#include <string>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Calls `read` for each of "messages", which must be a list of not too many, until one is refused.
// An empty one is refused, too.
void ReadEachMessage(FieldReader& fields, ReadContext& context,
                     const std::function<void(FieldReader&)>& read);

// The arguments of a call, which templates print as JSON, as the object that their text says. Those
// that an earlier answer left cut off are none, and stay a text.
Json CallArguments(const std::string& text);

}  // namespace lockstep
