// What makes prompts of conversations: the model's own chat template and what it is given.
// Immutable once made, so safe from any thread.
#pragma once

#include <optional>
#include <string>

#include "core/jinja/chat_template.h"
#include "server/generation/tool_calls.h"

namespace lockstep {

struct ChatModel {
  ChatTemplate chat_template;
  std::string source;              // of the template
  std::string bos, eos;            // the tokens' texts; empty where the model has none
  std::optional<ToolStyle> tools;  // how the model calls tools, if it can
};

}  // namespace lockstep
