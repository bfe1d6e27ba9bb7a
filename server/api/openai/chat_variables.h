// All that a chat's template is given, and which of the model's templates it is. Pure functions,
// safe from any thread.
#pragma once

#include "server/api/openai/tool_list.h"
#include "server/api/request_fields.h"
#include "server/generation/chat_model.h"

namespace lockstep {

struct ChatVariables {
  const ChatModel* model = nullptr;  // whose template it is
  Json values;                       // the template's variables
  ToolList tools;                    // those that are among them
};

// REQUIRES: the service has a chat template.
//
// The template's variables out of the fields that say them: messages, add_generation_prompt, tools,
// functions, reasoning_effort (named as ignored where the template knows none) and
// chat_template_kwargs. Of these, what has a field of its own is read as that field is, messages,
// bos_token and eos_token are refused, and the others become variables as they are. chat_template
// names one of the model's own templates; one from outside is refused: it would be trusted text.
void ReadChatVariables(FieldReader& fields, ReadContext& context, ChatVariables* chat);

}  // namespace lockstep
