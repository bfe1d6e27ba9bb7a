// Conversations that end with the assistant's turn, which the answer goes on with. Pure functions.
#pragma once

#include <functional>
#include <string>

#include "core/base/status.h"
#include "core/base/trusted_text.h"
#include "server/api/chat/conversation.h"
#include "server/generation/chat_model.h"

namespace lockstep {

// What the last turn has said. An answer goes on with the text, or with the thought where there is
// no text. One of both is there.
struct BegunAnswer {
  std::string thought, text;
  bool in_text() const { return !text.empty(); }
};

// Nothing where the answer is a turn of its own. A last turn that says nothing is taken out: the
// answer is in its place. An error where the request wants a turn to go on that cannot.
[[nodiscard]] Result<std::optional<BegunAnswer>> TakeBegunAnswer(const ChatModel& model,
                                                                 Conversation* conversation);

// Whether the prompt ends with the tag, spaces aside, and the template has put it there.
bool EndsWithTag(const TrustedText& prompt, std::string_view tag);

using RenderValues = std::function<Result<TrustedText>(Json values)>;
// The prompt up to the last character of what was begun. `values` are the template's variables,
// whose messages do not have it any more.
[[nodiscard]] Result<TrustedText> RenderBegun(const ChatModel& model, const BegunAnswer& begun,
                                              Json values, const RenderValues& render);

}  // namespace lockstep
