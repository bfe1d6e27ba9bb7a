// The tools that a chat offers, in whichever form a client sends them. Pure functions, safe from
// any thread.
#pragma once

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// tools and functions, of which a request may have one. The tools come checked, without their
// fields that are null, and otherwise as they were: templates render them as JSON.
ToolList ReadTools(FieldReader& fields, ReadContext& context);

}  // namespace lockstep
