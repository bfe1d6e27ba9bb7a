// A chat as it was read: what its messages and its tools have each written down.
#pragma once

#include <optional>

#include "server/api/openai/chat_variables.h"
#include "server/api/openai/common.h"
#include "server/api/openai/tool_answer.h"

namespace lockstep {

struct ChatRequest : OpenAiRequest {
  ChatVariables chat;
  std::optional<ToolForm> tools;  // calls of tools are read out of the answers
};

}  // namespace lockstep
