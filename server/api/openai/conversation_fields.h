// A conversation in OpenAI's fields, without what the answer must be. Pure functions, safe from any
// thread.
#pragma once

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Out of messages, tools, functions, add_generation_prompt, what says how to think, chat_template
// and chat_template_kwargs. Of these last, what has a field of its own is read as that field is,
// messages, bos_token and eos_token are refused, and the others become variables as they are.
// chat_template names one of the model's own; one from outside would be trusted text.
void ReadConversation(FieldReader& fields, ReadContext& context, Conversation* conversation);

}  // namespace lockstep
