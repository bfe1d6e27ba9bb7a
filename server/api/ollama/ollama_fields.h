// What /api/chat and /api/generate have in common in their requests. Pure functions, safe from any
// thread.
#pragma once

#include <string>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

struct OllamaRequest {
  GenerateRequest generate;
  std::string model;  // as the request names it
  AnswerFormat format;
  Thinking thinking;
  bool unload = false;  // a keep_alive of nothing
};

// model, stream, options (with Ollama's defaults), format, think, keep_alive, logprobs and
// top_logprobs. truncate and shift are about prompts that do not fit, which are refused here.
void ReadOllamaFields(FieldReader& fields, ReadContext& context, OllamaRequest& request);
// "options" alone.
void ReadOllamaOptions(FieldReader& fields, ReadContext& context, OllamaRequest& request);
// Seconds as a number, or Go's "1h30m". How long is all one here: the model stays. Returns whether
// it is no time at all.
bool ReadKeepAlive(FieldReader& fields);
// The field, which is a list of them, is empty or absent.
void RefuseImages(FieldReader& fields);

}  // namespace lockstep
