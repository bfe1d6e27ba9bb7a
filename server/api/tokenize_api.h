// POST /tokenize and /detokenize: between JSON and token ids, in the peers' words. Thread-safe.
#pragma once

#include <string>

#include "core/base/status.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Both take a request's body and give the reply's text. Errors are kInvalidArgument and name the
// field.
//
// The text is "content" (llama-server), "prompt" (vLLM) or "text", with "add_special" or
// "add_special_tokens" (BOS and EOS, as the model wants them; true for prompt, else false),
// "parse_special" (control tokens are recognised in the text; true), and "with_pieces" or
// "return_token_strs" for the tokens' texts. In its place there may be a conversation, "messages"
// and what else ReadChatPrompt takes. The reply has "tokens", "count" and "max_model_len".
[[nodiscard]] Result<std::string> AnswerTokenize(const Json& body, ReadContext& context);
// "tokens" is a list of ids. The reply has the text as "content" and as "prompt".
[[nodiscard]] Result<std::string> AnswerDetokenize(const Json& body, ReadContext& context);

}  // namespace lockstep
