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
// template refuses the conversation; or those of limits.memory.
[[nodiscard]] Result<TrustedText> RenderChat(const ChatModel& chat, const Json& variables,
                                             const TemplateLimits& limits = {});

// Limits for conversations of a few words, a hundred of which find out how a model's answers look
// when it loads. Published templates take at most a tenth of them for one.
inline constexpr TemplateLimits kProbeLimits = {
    .steps = 100'000, .output_bytes = size_t{1} << 20, .made_bytes = size_t{4} << 20};

}  // namespace lockstep
