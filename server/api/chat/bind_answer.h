// What a conversation allows an answer to be, as a grammar. Pure functions, safe from any thread.
#pragma once

#include <optional>

#include "server/api/chat/chat_piece.h"
#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"
#include "server/generation/chat_model.h"

namespace lockstep {

// How the model is to answer, as the prompt has it.
struct AnswerPlan {
  const AnswerForms& forms;
  std::shared_ptr<const CallForm> calls;  // null: none are allowed
  ThoughtTags thought;                    // `inside` where the prompt ends in one
  bool may_think = false;                 // an answer may open a thought by itself
  std::optional<size_t> budget;           // tokens of a thought at most
  std::string begun = {};                 // the text that the prompt ends with and the answer not
};

// Binds what follows a thought: to calls of the tools that may be called, with arguments of their
// schemas, and what is no call to the format. Stop strings act outside of thoughts and calls.
[[nodiscard]] Result<ChatForm> BindAnswer(const AnswerPlan& plan, const Conversation& conversation,
                                          const FieldNames& names, ReadContext& context,
                                          GenerationOptions* options);

}  // namespace lockstep
