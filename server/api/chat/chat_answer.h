// The text of a model's answer, taken apart: what it thought, what it says, which tools it calls.
// A reader belongs to one answer and is used by one thread; the functions are pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "server/generation/generate_types.h"
#include "server/generation/tool_calls.h"

namespace lockstep {

// How the answers to a prompt are to be read.
struct ChatForm {
  std::optional<ToolStyle> tools;  // nothing: there are no calls
};

struct ChatPiece {
  enum class Kind { kReasoning, kText, kCallBegin, kArguments, kCallEnd };
  Kind kind;
  std::string text;      // of kReasoning, kText and kArguments
  size_t call = 0;       // which one, of the last three
  std::string id, name;  // of kCallBegin
};

// Reasoning comes first, then text, then calls. A call ends before the next one begins.
class ChatAnswerReader {
 public:
  explicit ChatAnswerReader(const ChatForm& form);

  std::vector<ChatPiece> Push(const TokenEvent& token);
  // What was held back, after the last token. A call that is not whole gets no kCallEnd.
  std::vector<ChatPiece> Finish();

  size_t calls() const { return calls_; }  // begun so far
  size_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  std::vector<ChatPiece> Pieces(const std::vector<ToolDelta>& deltas);

  std::optional<ToolCallReader> tools_;
  ToolStyle style_ = {};
  size_t calls_ = 0, reasoning_tokens_ = 0;
};

struct ChatCall {
  std::string id, name, arguments;
  bool whole = false;
};
struct ChatAnswer {
  std::string reasoning, text;
  std::vector<ChatCall> calls;
  size_t reasoning_tokens = 0;
};
// A whole answer, read as its stream is.
ChatAnswer ReadChatAnswer(const ChatForm& form, const Answer& answer);
// Whether the answer ended in calls that may be run. One that was cut off has calls of which the
// last may lack arguments.
bool EndsInCalls(const Answer& answer, const ChatAnswer& read);

}  // namespace lockstep
