// POST /v1/chat/completions and POST /apply-template: messages, put into a prompt by the model's
// own chat template. Pure functions, safe from any thread.
#pragma once

#include <memory>

#include "server/api/openai/chat_request.h"

namespace lockstep {

// The prompt is still missing from it: PutChatPrompt makes it.
[[nodiscard]] Result<ChatRequest> ReadChatRequest(const Json& body, ReadContext& context);
// The template's variables.
[[nodiscard]] Result<Json> ReadApplyTemplateRequest(const Json& body, ReadContext& context);
// The service must outlive it.
std::unique_ptr<AnswerWriter> MakeChatWriter(const GenerationService& service,
                                             const ChatRequest& request);

}  // namespace lockstep
