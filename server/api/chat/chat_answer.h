// The text of a model's answer, taken apart: what it thought, what it says, which tools it calls.
// A reader belongs to one answer and is used by one thread; the functions are pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "server/api/chat/call_reader.h"
#include "server/api/chat/chat_piece.h"
#include "server/api/chat/harmony_reader.h"
#include "server/generation/generate_types.h"

namespace lockstep {

// Reasoning comes first, then text, then calls. A call ends before the next one begins. Space
// around a thought belongs to its tags, and is nobody's.
class ChatAnswerReader {
 public:
  // `answer_id`: Answer::id, of which the ids of calls are made.
  ChatAnswerReader(const ChatForm& form, const std::string& answer_id);

  std::vector<ChatPiece> Push(const TokenEvent& token);
  // What was held back, after the last token. A call that is not whole gets no kCallEnd.
  std::vector<ChatPiece> Finish();

  size_t calls() const;  // begun so far
  size_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  void Read(std::string_view text, bool last, std::vector<ChatPiece>* pieces);
  void ReadThought(const ThoughtSplitter::Parts& parts, std::vector<ChatPiece>* pieces);
  void ReadAnswer(std::string_view text, std::vector<ChatPiece>* pieces);
  bool thinking() const;

  const ThoughtTags tags_;
  ThoughtSplitter thought_;
  bool opened_ = false;         // the opening tag was read
  bool thought_begun_ = false;  // something of the thought was given out
  bool drop_space_ = false;     // in front of the answer
  std::string space_;           // in the thought, not given out yet
  std::optional<CallReader> calls_;
  std::optional<HarmonyReader> harmony_;
  size_t reasoning_tokens_ = 0;
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
