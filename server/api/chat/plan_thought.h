// What a request says of thinking, as the model's template takes it. Pure functions.
#pragma once

#include <optional>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"
#include "server/generation/chat_model.h"

namespace lockstep {

// Whether the template's source names a variable: templates have no list of those that they know.
bool Knows(const ChatModel& model, std::string_view name);

struct ThoughtPlan {
  bool off = false;              // there is to be no thought
  std::optional<size_t> budget;  // tokens at most
};
// Sets the template's own variables in *values where they have not been set. Where it has none,
// thinking is turned off by a budget of nothing, and an effort becomes a budget. Names what takes
// no effect in context.ignored.
ThoughtPlan PlanThought(const ChatModel& model, const Thinking& thinking, const FieldNames& names,
                        ReadContext& context, Json* values);

}  // namespace lockstep
