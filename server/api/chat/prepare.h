// From a conversation to a prompt and what binds the answer to it, for all dialects. Pure
// functions, safe from any thread.
#pragma once

#include "core/base/trusted_text.h"
#include "server/api/chat/chat_answer.h"
#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Chooses the template, renders the conversation into generate->prompts, and binds the answer: its
// grammar and where stop strings act, in generate->options. Names what takes no effect in
// context.ignored. Errors are kInvalidArgument and name the field as the dialect does.
[[nodiscard]] Result<ChatForm> PrepareChat(Conversation conversation, const FieldNames& names,
                                           ReadContext& context, GenerateRequest* generate);

// Makes the prompt alone, for whoever does not want an answer to it.
[[nodiscard]] Result<TrustedText> RenderConversation(Conversation conversation,
                                                     const FieldNames& names, ReadContext& context);

}  // namespace lockstep
