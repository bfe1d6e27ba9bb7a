// Answers in Ollama's form: a line of JSON for each piece of a stream, and a last one with "done"
// and what it took, which is the whole answer where it is not streamed. A writer is used by one
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/api/chat/chat_answer.h"
#include "server/api/dialect.h"
#include "server/http/sse.h"

namespace lockstep {

struct OllamaForm {
  std::string model;  // as the request names it
  bool chat = true;   // "message", else "response"
  // The last line has the tokens of prompt and answer, "context", for /api/generate to go on from.
  bool context = false;
  // How the text is to be taken apart; nothing: the text is the answer.
  std::optional<ChatForm> read = std::nullopt;
};

// The reply to a request that has nothing to answer: the model is there, whatever was asked.
HttpReply OllamaLoadReply(const OllamaForm& form, bool unload);

class OllamaWriter : public AnswerWriter {
 public:
  // `service` must outlive it.
  OllamaWriter(const GenerationService& service, OllamaForm form);

  std::string_view id_prefix() const override { return "ollama"; }
  std::string_view stream_type() const override { return ContentType(StreamFormat::kNdjson); }
  std::string Whole(const Generation& generation) override;
  std::string Begin(const Generation& generation) override;
  std::string Token(const Generation& generation, size_t answer, const TokenEvent& token) override;
  std::string AnswerEnd(const Generation& generation, size_t answer) override;
  std::string Waiting(const Generation& generation) override;
  std::string End(const Generation& generation) override;
  std::string Failure(const Error& error) override;

 private:
  // What one line says.
  struct Piece {
    std::string thinking, text;
    Json calls = Json::array();
    bool empty() const { return thinking.empty() && text.empty() && calls.empty(); }
  };

  Piece PieceOf(std::vector<ChatPiece> parts);
  Json LineJson(const Piece& piece) const;
  void AddEnd(const Generation& generation, Json* line) const;
  Json Context(const Generation& generation) const;

  const GenerationService& service_;
  const OllamaForm form_;
  std::optional<ChatAnswerReader> reader_;  // of a stream
  ChatCall call_;                           // that has begun in it
  size_t calls_ = 0;                        // that have ended
};

}  // namespace lockstep
