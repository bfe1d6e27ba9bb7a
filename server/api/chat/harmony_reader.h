// Reads answers in OpenAI's harmony: parts, each behind a header that names its channel and, if it
// is a call, the tool. A reader belongs to one answer and is used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/chat/argument_reader.h"
#include "server/api/chat/chat_piece.h"

namespace lockstep {

class HarmonyReader {
 public:
  // Calls are read where the form has them, and left out where it has none.
  HarmonyReader(const ChatForm& form, std::string answer_id);

  void Push(std::string_view text, std::vector<ChatPiece>* pieces);
  void Finish(std::vector<ChatPiece>* pieces);
  size_t calls() const { return calls_; }  // begun so far
  bool thinking() const { return body_ == Body::kThought; }

 private:
  enum class Body { kHeader, kThought, kText, kCall, kNone };

  bool ReadHeader(std::vector<ChatPiece>* pieces);
  bool ReadBody(std::vector<ChatPiece>* pieces);
  void Emit(std::string text, std::vector<ChatPiece>* pieces);

  const bool has_calls_;
  const CallForm form_;
  const std::string answer_id_;
  Body body_ = Body::kHeader;
  std::string held_;
  size_t calls_ = 0;
  std::optional<ArgumentReader> arguments_;
};

}  // namespace lockstep
