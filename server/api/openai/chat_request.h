// A chat as it was read: what its messages and its tools have each written down.
#pragma once

#include <optional>

#include "server/api/openai/common.h"
#include "server/generation/tool_calls.h"
#include "server/json/json_text.h"

namespace lockstep {

struct ChatRequest : OpenAiRequest {
  Json variables;                  // of the chat template
  std::optional<ToolStyle> tools;  // calls of tools are read out of the answers
};

}  // namespace lockstep
