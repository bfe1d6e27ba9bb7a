// From a decoded request to an HTTP reply, in whichever dialect: the generation is the same, an
// AnswerWriter says what its events look like.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "server/generation/generate_types.h"
#include "server/generation/generation.h"
#include "server/generation/generation_service.h"
#include "server/http/http_types.h"

namespace lockstep {

// The bodies that a dialect makes of one generation. Used by one thread.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  virtual std::string_view id_prefix() const = 0;
  virtual std::string Whole(const Generation& generation) = 0;
  // Instead of an answer, with a status.
  virtual HttpReply Refusal(const Error& error);

  // Of a stream, in this order. What is empty is not sent.
  virtual std::string_view stream_type() const { return "text/event-stream"; }
  virtual std::string Begin(const Generation&) { return {}; }
  virtual std::string Token(const Generation& generation) = 0;  // generation.token(), .index()
  virtual std::string AnswerEnd(const Generation&) { return {}; }
  virtual std::string End(const Generation& generation) = 0;
  virtual std::string Failure(const Error& error) = 0;  // instead of the rest
};

// While no token comes, a stream of server-sent events gets a comment every `keep_alive`, so that
// neither proxies nor clients take a long prompt for a dead server. The status waits for the first
// token or the first comment, whichever comes first: what fails by then (a full queue, a bad field,
// no session in time) has a status of its own, which clients act on; what fails later is an event.
HttpReply Respond(GenerationService& service, GenerateRequest request, Caller caller,
                  std::unique_ptr<AnswerWriter> writer, std::chrono::milliseconds keep_alive);

}  // namespace lockstep
