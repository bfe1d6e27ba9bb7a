// How a model writes calls of tools, found by what its chat template makes of conversations. Pure
// functions.
#pragma once

#include <memory>

#include "server/generation/chat_model.h"

namespace lockstep {

// The model writes OpenAI's harmony: parts with headers.
bool IsHarmony(const ChatModel& chat);
// Null where the template does not show how to call tools. `thought` are the tags of its thoughts.
std::shared_ptr<const CallForm> FindCallForm(const ChatModel& chat, const ThoughtTags& thought);
// Whether a history's calls are in the prompt, in whichever form.
bool ShowsCalls(const ChatModel& chat);

}  // namespace lockstep
