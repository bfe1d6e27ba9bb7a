// The prompt that a conversation becomes, by the model's own chat template. Pure functions, safe
// from any thread.
#pragma once

#include "core/base/status.h"
#include "core/jinja/chat_template.h"
#include "server/generation/chat_model.h"
#include "server/json/json_text.h"

namespace lockstep {

// `variables`: messages, tools and what else the template knows; bos_token and eos_token are added.
// A message of calls alone has null for its content, as Hugging Face's library renders it; a
// template that fails on null, as some published ones do, gets "". Errors are kInvalidArgument: the
// template refuses the conversation.
[[nodiscard]] Result<TrustedText> RenderChat(const ChatModel& chat, const Json& variables);

}  // namespace lockstep
