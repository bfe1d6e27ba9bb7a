// What makes prompts of conversations: a chat template of the model's own and what it is given.
// Immutable once made, so safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/jinja/chat_template.h"
#include "server/generation/tool_calls.h"

namespace lockstep {

// What requests call the template that has no name in the file, and the name of the one that some
// models have for conversations with tools.
inline constexpr std::string_view kDefaultTemplate = "default", kToolTemplate = "tool_use";

struct ChatModel {
  ChatTemplate chat_template;
  std::string source;              // of the template
  std::string bos, eos;            // the tokens' texts; empty where the model has none
  std::optional<ToolStyle> tools;  // how the model calls tools, if it can
  std::string name = std::string(kDefaultTemplate);
  std::vector<ChatModel> named = {};  // the model's other templates, each without further ones
};

}  // namespace lockstep
