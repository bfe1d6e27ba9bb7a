// How a model's answers look, found by what its chat template makes of conversations. Pure
// functions.
#pragma once

#include <functional>
#include <string_view>

#include "server/generation/chat_model.h"

namespace lockstep {

// All of the forms but the spoken tokens. `is_token` says whether a text is one token of the
// vocabulary.
AnswerForms FindForms(const ChatModel& chat, const std::function<bool(std::string_view)>& is_token);
// All texts in the forms, one behind the other: control tokens among them have to be read.
std::string Literals(const AnswerForms& forms);

}  // namespace lockstep
