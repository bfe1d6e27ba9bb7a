// Takes calls of tools out of a text of their form. A reader belongs to one answer and is used by
// one thread.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/chat/argument_reader.h"
#include "server/api/chat/chat_piece.h"

namespace lockstep {

class CallReader {
 public:
  // `strings` may be null: then no parameter is known to be a string.
  CallReader(std::shared_ptr<const CallForm> form, std::shared_ptr<const StringParameters> strings,
             std::string answer_id, bool at_start = false);

  // `at_start`: of any form calls stand at the text's beginning only.
  // Takes the next piece of a text of the form's grammar. Whitespace before a call is dropped.
  void Push(std::string_view text, std::vector<ChatPiece>* pieces);
  // The rest, after the last piece: what looked like the beginning of a call.
  void Finish(std::vector<ChatPiece>* pieces);
  size_t calls() const { return calls_; }  // begun so far

 private:
  enum class State { kStart, kText, kBegin, kName, kArguments, kTail, kEnd };

  // Each takes what it can from held_; false if it needs more.
  bool ReadNext(std::vector<ChatPiece>* pieces);
  bool ReadText(std::vector<ChatPiece>* pieces);
  void TakeMarker(size_t size);
  bool ReadBegin(std::vector<ChatPiece>* pieces);
  bool ReadName(std::vector<ChatPiece>* pieces);
  bool ReadArguments(std::vector<ChatPiece>* pieces);
  bool ReadTail();
  void EmitText(size_t size, std::vector<ChatPiece>* pieces);

  const std::shared_ptr<const CallForm> form_;
  const std::shared_ptr<const StringParameters> strings_;
  const std::string answer_id_;
  const std::string marker_, begin_,
      next_;  // begin_ is between marker and name, next_ between calls
  const bool at_start_;
  State state_ = State::kStart;
  std::string held_;           // not yet dealt with
  std::string marked_;         // in kBegin: the marker, and what stood before it and was held
  std::string id_;             // that the model has given to the next call
  std::set<std::string> ids_;  // of all calls
  size_t calls_ = 0;
  std::optional<ArgumentReader> arguments_;
};

}  // namespace lockstep
