// What an answer amounts to, as the fields that OpenAI's clients read: its thoughts, its text and
// its calls, these in the form in which the client sent its tools. A ChatDeltas belongs to one
// answer and is used by one thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/chat/chat_answer.h"
#include "server/json/json_text.h"

namespace lockstep {

struct ToolForm {
  std::set<std::string> custom;  // tools whose calls have a text, "input", and no arguments
  bool legacy = false;           // "function_call" in the place of "tool_calls"
  bool hides_thoughts = false;

  std::string_view finish_reason() const { return legacy ? "function_call" : "tool_calls"; }
};

// The text of a custom call's one argument; where they are cut, as much of it as is there.
std::string CustomInput(const std::string& arguments);

Json MessageJson(const ToolForm& form, const ChatAnswer& answer);

// The "delta"s of a stream: text, the beginning of a call with its id and name, or more arguments.
// A custom call comes as a whole, when it has ended.
class ChatDeltas {
 public:
  explicit ChatDeltas(ToolForm form) : form_(std::move(form)) {}
  std::vector<Json> Of(const std::vector<ChatPiece>& pieces);
  // What of a custom call came before the answer was cut off.
  std::vector<Json> Finish();

 private:
  void AddCall(const ChatPiece& piece, std::vector<Json>* deltas);
  void EndCustomCall(std::vector<Json>* deltas);

  const ToolForm form_;
  size_t custom_call_ = 0;
  ChatCall custom_;  // that has not ended; else without a name
};

}  // namespace lockstep
