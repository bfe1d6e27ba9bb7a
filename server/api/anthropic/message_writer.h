// The answer of POST /v1/messages, whole and as the events of a stream, in the order that
// Anthropic's clients insist on: a block ends before the next one begins, and their indices count
// up.
//   message_start, then for each block content_block_start, content_block_delta ... and
//   content_block_stop, then message_delta with the reason and the usage, message_stop
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/chat/chat_answer.h"
#include "server/api/dialect.h"

namespace lockstep {

struct MessageForm {
  ChatForm chat;
  std::string model;            // as the request names it
  std::string request_id;       // stands in errors
  size_t max_tokens = 0;        // as the request has it; 0: the prompt is read, nothing is answered
  bool omits_thoughts = false;  // they come sealed, to be sent back
};

class MessageWriter : public AnswerWriter {
 public:
  explicit MessageWriter(MessageForm form) : form_(std::move(form)) {}

  std::string_view id_prefix() const override { return "msg_"; }
  std::string Whole(const Generation& generation) override;
  std::string Begin(const Generation& generation) override;
  std::string Token(const Generation& generation, size_t answer, const TokenEvent& token) override;
  std::string AnswerEnd(const Generation& generation, size_t answer) override;
  std::string Waiting(const Generation& generation) override;
  std::string End(const Generation& generation) override;
  std::string Failure(const Error& error) override;

 private:
  Json Message(const Generation& generation, Json content) const;
  Json Usage(const Generation& generation, size_t thinking_tokens) const;
  std::string_view StopReason(const Answer& answer, const ChatAnswer& read) const;

  std::string Events(const std::vector<ChatPiece>& pieces);
  // The beginning of a block, and the end of the one before it.
  std::string Open(ChatPiece::Kind kind, const Json& block);
  std::string Delta(const Json& delta) const;
  std::string Close();

  const MessageForm form_;
  // What a stream has come to.
  std::optional<ChatAnswerReader> reader_;  // from Begin on
  size_t blocks_ = 0;                       // begun so far
  std::optional<ChatPiece::Kind> open_;     // what the block that has not ended is of
  std::string thought_;                     // that is not shown
};

}  // namespace lockstep
