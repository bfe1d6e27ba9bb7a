// The prompt that a conversation becomes, by the model's own chat template. Pure functions, safe
// from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/jinja/chat_template.h"
#include "server/generation/chat_model.h"
#include "server/json/json_text.h"

namespace lockstep {

// `variables` as ReadChatVariables makes them; bos_token and eos_token are added. Errors are
// kInvalidArgument: the model has no template, or the template refuses the conversation.
[[nodiscard]] Result<std::vector<PromptPart>> RenderChat(const Result<ChatModel>& chat,
                                                         const Json& variables);
// The same for a template by itself.
[[nodiscard]] Result<std::vector<PromptPart>> RenderChat(const ChatModel& chat,
                                                         const Json& variables);
// How the model calls tools: what its template makes of a conversation in which one was called.
std::optional<ToolStyle> FindToolStyle(const ChatModel& chat);
// The parts' texts as one.
std::string TextOf(const std::vector<PromptPart>& parts);

}  // namespace lockstep
