// POST /v1/chat/completions and POST /apply-template: messages, put into a prompt by the model's
// own chat template. Pure functions, safe from any thread.
#pragma once

#include <string>

#include "core/base/trusted_text.h"
#include "server/api/dialect.h"

namespace lockstep {

extern const Dialect kOpenAiChat;
// The prompt that a conversation becomes, by the fields of a chat that have a part in it. Finishes
// `fields`.
[[nodiscard]] Result<TrustedText> ReadChatPrompt(FieldReader& fields, ReadContext& context);
// POST /apply-template: the prompt that a conversation becomes, as a text. Generates nothing.
[[nodiscard]] Result<std::string> AnswerApplyTemplate(const Json& body, ReadContext& context);

}  // namespace lockstep
