// The messages of /api/chat. Pure functions, safe from any thread.
#pragma once

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Returns "messages" as Conversation has them. Calls without ids are given some, and a tool's
// message goes with the call of its id, else with the first one of its name without an answer.
Json ReadOllamaMessages(FieldReader& fields, ReadContext& context);

}  // namespace lockstep
