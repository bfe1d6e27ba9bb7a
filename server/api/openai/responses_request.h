// A request to /v1/responses as it was read. Plain structs, each of one request.
#pragma once

#include "server/api/chat/chat_answer.h"
#include "server/api/openai/common.h"
#include "server/api/openai/responses_tools.h"

namespace lockstep {

// What the answer takes of it.
struct ResponsesForm {
  ChatForm chat;
  ResponsesTools tools;
  bool encrypted = false;  // thoughts also under the name of what clients keep
  Json echo;               // what every response repeats of the request
};

struct ResponsesRequest : OpenAiRequest {
  ResponsesForm form;
};

}  // namespace lockstep
