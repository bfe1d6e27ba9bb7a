// How one API writes requests and answers. A dialect is a struct of functions, and a request that
// it has read brings the writer of its answer along, so that the way from a body to a reply is the
// same for all of them (generate.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/request_fields.h"
#include "server/generation/generation.h"
#include "server/http/http_types.h"

namespace lockstep {

// It names the charset that the text has anyway: Python's requests takes a text without one for
// Latin-1, and cuts lines at bytes of UTF-8 that are a line's end there.
inline constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";

// The bodies that a dialect makes of one generation. Used by one thread.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  // The ids of its answers begin with this, such as "chatcmpl".
  virtual std::string_view id_prefix() const = 0;
  // The body of an answer that is not streamed.
  virtual std::string Whole(const Generation& generation) = 0;

  // The pieces of a stream, asked for in this order: Begin, then Token, AnswerEnd and Waiting as
  // the answers go, then End or Failure. An empty piece is not sent.
  virtual std::string_view stream_type() const { return kEventStream; }
  virtual std::string Begin(const Generation&) { return {}; }
  virtual std::string Token(const Generation& generation, size_t answer,
                            const TokenEvent& token) = 0;
  virtual std::string AnswerEnd(const Generation&, size_t) { return {}; }
  // That the server is still there, when no token came for a while. Where clients count events and
  // take no comment for a sign of life, it is an event that changes nothing.
  virtual std::string Waiting(const Generation&) {
    return stream_type() == kEventStream ? ": keep-alive\n\n" : "";
  }
  // The stream has begun elsewhere, and Waiting was asked for so often there. Before Begin.
  virtual void Waited(size_t) {}
  virtual std::string End(const Generation& generation) = 0;
  virtual std::string Failure(const Error& error) = 0;
};

// A request, and who writes its answer down; or the reply to one that asks for nothing to be
// generated.
struct DialectRequest {
  GenerateRequest generate;
  std::unique_ptr<AnswerWriter> writer;
  std::optional<HttpReply> reply = std::nullopt;
  MemoryBudget::Share memory = {};  // of what both and the answers hold
  size_t repeated_bytes = 0;        // of the request, that the answers repeat
  bool event_ids = false;           // the client knows that events have ids
  std::string last_event_id = {};   // of the stream that is to go on; empty: a new one
};

// Stateless: one constant for each API, safe from any thread.
struct Dialect {
  // The service of the context must outlive the writer.
  Result<DialectRequest> (*read)(const Json& body, ReadContext& context);
  // An error before the first byte of an answer, with the status that the API has for it.
  HttpReply (*error)(const Error& error);
  const char* prompt;  // the field that holds the prompt, for an error that is about it
  // Unknown fields are refused, whatever the settings say. The APIs of others grow fields that we
  // have not heard of, which their clients send in good faith; of our own we know them all.
  bool strict = false;
};

}  // namespace lockstep
