// The answer to /v1/responses, whole or as a stream of events. Used by one thread.
//
// Each event has a name, a number from 0 on, and says of what it tells by position and id:
//   response.created, response.in_progress                       the response so far; the second
//   one
//                                                                again while nothing else comes
//   response.output_item.added                                   an item begins; then of a
//     message:  content_part.added, output_text.delta ..., output_text.done, content_part.done
//     thought:  content_part.added, reasoning_text.delta ..., reasoning_text.done,
//     content_part.done call:     function_call_arguments.delta ..., .done, or
//     custom_tool_call_input.delta, .done
//   response.output_item.done                                    it is whole, or a text that was
//   cut response.completed, .incomplete or .failed                   the whole response
// A call that was cut off is not done: it is in the last event alone, marked as incomplete, so that
// no client runs it. Before response.failed there is an event "error".
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/api/dialect.h"
#include "server/api/openai/responses_items.h"
#include "server/api/openai/responses_request.h"

namespace lockstep {

class ResponsesWriter : public AnswerWriter {
 public:
  // `service` must outlive it.
  ResponsesWriter(const GenerationService& service, const ResponsesRequest& request);

  std::string_view id_prefix() const override { return "resp_"; }
  std::string Whole(const Generation& generation) override;
  std::string Begin(const Generation& generation) override;
  std::string Token(const Generation& generation, size_t answer, const TokenEvent& token) override;
  std::string Waiting(const Generation& generation) override;
  void Waited(size_t times) override { events_.Skip(times); }
  std::string AnswerEnd(const Generation& generation, size_t answer) override;
  std::string End(const Generation& generation) override;
  std::string Failure(const Error& error) override;

 private:
  void Start(const Generation& generation, const Answer& answer, EventLog* events);
  void Read(const TokenEvent& token, bool wants_logprobs);
  void Add(const std::vector<ChatPiece>& pieces);
  void Finish(const Answer& answer);
  Json Logprobs(const SampledToken& token) const;
  Json Response(std::string_view status) const;
  void Remember(const Json& response) const;  // for the requests that follow
  Json Ended(const Generation& generation, const Answer& answer) const;

  const GenerationService& service_;
  const std::string model_;
  const ResponsesForm form_;
  // These are set by Start, as are those below.
  int64_t created_ = 0;
  std::string id_;
  EventLog events_;
  std::optional<ChatAnswerReader> reader_;
  std::unique_ptr<ResponseItems> items_;
  Json held_ = Json::array();  // the logprobs of tokens whose text is held back
};

}  // namespace lockstep
