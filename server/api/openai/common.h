// What /v1/completions and /v1/chat/completions share: fields of requests, and the frame around the
// choices of answers. With the stream's events as OpenAI defines them: data lines without an event
// field, one last piece of a choice with its finish_reason, usage in a piece without choices where
// stream_options.include_usage asks for it, then [DONE]; after an error there is no [DONE].
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/api/answer_json.h"
#include "server/api/dialect.h"
#include "server/api/response_format.h"

namespace lockstep {

struct OpenAiRequest {
  GenerateRequest generate;
  std::string model;  // as the request names it
  AnswerFormat format;
  int32_t prompt_logprobs = -1;  // vLLM's field; -1: none
  bool return_token_ids = false;
  bool include_usage = false;
  bool continuous_usage = false;  // in each piece of the stream
};

// Sets the defaults that OpenAI documents (temperature 1, top_p 1, nothing else cut off), and reads
// model, n, best_of, stream_options, the format of the answer, the sampling fields under all their
// names, and what is for OpenAI's own servers: user, metadata, safety_identifier and
// prompt_cache_key, which say nothing to this one, and store, service_tier, verbosity,
// prompt_cache_retention and web_search_options, which are named as ignored.
void ReadOpenAiFields(FieldReader& fields, ReadContext& context, OpenAiRequest& request);

// vLLM's prompt_logprobs and return_token_ids, which are not for streams. After ReadOpenAiFields.
void ReadVllmWishes(FieldReader& fields, ReadContext& context, OpenAiRequest& request);
// The former's part of an answer: null for the first token, then for each an object of tokens by
// id, itself and the likeliest: {"logprob", "rank", "decoded_token"}.
Json PromptLogprobsJson(const GenerationService& service, const Answer& answer, int32_t top);

// The token as text: its bytes where they are whole characters, else "bytes:\xe2\x80"; a control
// token's name.
std::string TokenLabel(const GenerationService& service, int32_t token);

class OpenAiWriter : public AnswerWriter {
 public:
  std::string Whole(const Generation& generation) final;
  std::string End(const Generation& generation) final;
  std::string Failure(const Error& error) final;

 protected:
  // `service` must outlive it.
  OpenAiWriter(const GenerationService& service, const OpenAiRequest& request);

  virtual std::string_view object() const = 0;
  virtual std::string_view chunk_object() const = 0;
  // One of "choices", without "index" and "finish_reason".
  virtual Json Choice(const Generation& generation, const Answer& answer, size_t index) = 0;
  // The thoughts' tokens in all answers so far, for the usage; nothing where none are to be told.
  virtual std::optional<size_t> ReasoningTokens(const Generation&) const { return std::nullopt; }
  // What an answer that is not streamed has beside its choices.
  virtual Json Beside(const Generation&) const { return Json::object(); }
  virtual std::string_view Finish(const Answer& answer) const { return FinishName(answer.finish); }

  // An event with one piece of one choice; `finish` is null in all but the last.
  std::string Chunk(const Generation& generation, size_t index, const Json& choice,
                    const Json& finish = nullptr) const;
  // An event that adds nothing to the first choice, and says how far the prompt has been read.
  std::string Waits(const Generation& generation, const Json& choice) const;
  const GenerationService& service() const { return service_; }
  bool return_token_ids() const { return return_token_ids_; }

 private:
  Json Head(const Generation& generation, std::string_view object) const;
  Json Piece(const Generation& generation, size_t index, const Json& choice,
             const Json& finish) const;
  Json UsageOf(const Generation& generation) const;

  const GenerationService& service_;
  const std::string model_;
  const bool include_usage_, continuous_usage_, has_prediction_, return_token_ids_;
};

// Dialect::read out of a reader of some kind of OpenAiRequest and the writer that answers it.
template <auto kRead, class Writer>
Result<DialectRequest> ReadWith(const Json& body, ReadContext& context) {
  TRY(auto request, kRead(body, context));
  auto writer = std::make_unique<Writer>(context.service, request);
  return DialectRequest{std::move(request.generate), std::move(writer)};
}

}  // namespace lockstep
