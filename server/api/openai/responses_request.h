// A request to /v1/responses as it was read. Plain structs, each of one request.
#pragma once

#include <memory>
#include <string>

#include "server/api/chat/chat_answer.h"
#include "server/api/openai/common.h"
#include "server/api/openai/response_store.h"
#include "server/api/openai/responses_tools.h"

namespace lockstep {

// What of the request decides how its answer is written.
struct ResponsesForm {
  ChatForm chat;
  ResponsesTools tools;
  bool encrypted = false;   // thoughts also under the name of what clients keep
  bool summarized = false;  // thoughts in the place of their summaries, which were asked for
  // Where the response is to be kept: null, not at all.
  std::shared_ptr<ResponseStore> store = nullptr;
  std::string owner, previous;  // as in ResponseStore::Put
  Json input;                   // the request's own items
  Json echo;                    // what every response repeats of the request
};

struct ResponsesRequest : OpenAiRequest {
  ResponsesForm form;
};

}  // namespace lockstep
