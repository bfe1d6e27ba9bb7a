// What makes prompts of conversations: a chat template of the model's own, what it is given, and
// how answers look that follow it. Immutable once made, so safe from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/session.h"
#include "core/engine/thought.h"
#include "core/jinja/chat_template.h"
#include "server/generation/call_form.h"

namespace lockstep {

// What requests call the template that has no name in the file, and the name of the one that some
// models have for conversations with tools.
inline constexpr std::string_view kDefaultTemplate = "default", kToolTemplate = "tool_use";

// How a model's answers look, as its template and its vocabulary show it.
struct AnswerForms {
  std::shared_ptr<const CallForm> calls;  // null: the template does not say how to call tools
  bool shows_calls = false;               // in a history, in whichever form
  ThoughtTags thought;                    // none where `close` is empty
  // The template shows thoughts: where it does not, and only the vocabulary has the tags, one is
  // read as such but nothing is made for it.
  bool thought_shown = false;
  std::string thought_switch;  // the variable that turns thinking on and off; empty: none
  bool harmony = false;        // parts with headers
  // The control tokens that stand in all this.
  std::shared_ptr<const SpokenTokens> spoken;
};

struct ChatModel {
  ChatTemplate chat_template;
  std::string source;    // of the template
  std::string bos, eos;  // the tokens' texts; empty where the model has none
  AnswerForms forms = {};
  std::string name = std::string(kDefaultTemplate);
  std::vector<ChatModel> named = {};  // the model's other templates, each without further ones
};

}  // namespace lockstep
