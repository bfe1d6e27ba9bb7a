// The calls in an answer's text as the fields that clients read, in the form in which they sent
// their tools. A ToolAnswer belongs to one answer and is used by one thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/generation/tool_calls.h"
#include "server/json/json_text.h"

namespace lockstep {

struct ToolForm {
  ToolStyle style;
  std::set<std::string> custom;  // tools whose calls have a text, "input", and no arguments
  bool legacy = false;           // "function_call" in the place of "tool_calls"

  std::string_view finish_reason() const { return legacy ? "function_call" : "tool_calls"; }
};

// The message with the text's calls of tools in "tool_calls" and the rest in "content".
Json WithToolCalls(Json message, const ToolForm& form, std::string_view text);
bool HasToolCalls(const ToolForm& form, std::string_view text);

// The "delta"s of a stream.
class ToolAnswer {
 public:
  explicit ToolAnswer(const ToolForm& form) : form_(form), reader_(form.style) {}

  // What the next piece of the text amounts to: text, the beginning of a call with its id and name,
  // or more arguments. A custom call comes as a whole, when it has ended.
  std::vector<Json> Push(std::string_view text) { return Deltas(reader_.Push(text), false); }
  std::vector<Json> Finish() { return Deltas(reader_.Finish(), true); }

 private:
  std::vector<Json> Deltas(const std::vector<ToolDelta>& pieces, bool last);
  void EndCustomCall(std::vector<Json>* deltas);

  const ToolForm form_;
  ToolCallReader reader_;
  size_t custom_call_ = 0;
  std::string custom_name_, custom_arguments_;  // of a call that has not ended; else empty
};

}  // namespace lockstep
