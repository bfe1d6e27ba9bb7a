// The messages of a chat, from a request to what the model's chat template is given. Pure
// functions, safe from any thread.
#pragma once

#include "server/api/request_fields.h"

namespace lockstep {

inline constexpr size_t kMaxMessages = 256, kMaxTools = 128;

// REQUIRES: the service has a chat template.
//
// The template's variables out of the fields that say them: messages, add_generation_prompt, tools,
// reasoning_effort (refused where the template knows none) and chat_template_kwargs. Of these, what
// has a field of its own is read as that field is, messages, bos_token and eos_token are refused,
// and the others become variables as they are. A template from outside is refused: it would be
// trusted text.
//
// Messages come checked, and in the form for which templates are written: of content in parts the
// texts, joined by line breaks; "developer" as "system" where the template does not know it; the
// arguments of tool calls as the object that their text says.
void ReadChatVariables(FieldReader& fields, ReadContext& context, Json* variables);

}  // namespace lockstep
