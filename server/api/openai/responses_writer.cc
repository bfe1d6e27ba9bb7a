// The pieces of an answer become items, and items become events or a list. A response says again
// what its request said, in the first two events and in the last one.
#include "server/api/openai/responses_writer.h"

#include <ctime>
#include <utility>

#include "server/http/error_reply.h"

namespace lockstep {
namespace {

// Clients act upon these codes, of all that OpenAI documents for a failed response.
std::string_view FailureCode(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kContextExceeded:
      return "context_length_exceeded";
    case ErrorKind::kInvalidArgument:
      return "invalid_prompt";
    case ErrorKind::kOverloaded:
      return "rate_limit_exceeded";
    default:
      return "server_error";
  }
}

Json UsageOf(const Usage& usage, size_t reasoning_tokens) {
  return {
      {"input_tokens", usage.prompt_tokens},
      {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}}},
      {"output_tokens", usage.completion_tokens},
      {"output_tokens_details", {{"reasoning_tokens", reasoning_tokens}}},
      {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

}  // namespace

ResponsesWriter::ResponsesWriter(const GenerationService& service, const ResponsesRequest& request)
    : service_(service), model_(request.model), form_(request.form) {}

void ResponsesWriter::Start(const Generation& generation, const Answer& answer, EventLog* events) {
  id_ = generation.id();
  created_ = generation.origin().created;
  reader_.emplace(form_.chat, answer.id);
  items_ = std::make_unique<ResponseItems>(id_.substr(id_prefix().size()), form_.tools,
                                           form_.encrypted, events, form_.summarized);
}

// The answer is read once more as it came, so that it has the items of its stream.
std::string ResponsesWriter::Whole(const Generation& generation) {
  const Answer& answer = *generation.Chosen()[0];
  Start(generation, answer, nullptr);
  size_t from = 0;
  for (size_t i = 0; i < answer.tokens.size(); ++i) {
    TokenEvent token;
    token.index = i;
    token.sampled.token = answer.tokens[i];
    if (answer.wants_logprobs) token.sampled = answer.logprobs[i];
    token.text = answer.text.substr(from, answer.text_ends[i] - from);
    from = answer.text_ends[i];
    Read(token, answer.wants_logprobs);
  }
  Finish(answer);
  return Dump(Ended(generation, answer));
}

std::string ResponsesWriter::Begin(const Generation& generation) {
  Start(generation, generation.answers()[0], &events_);
  events_.Add("response.created", {{"response", Response("in_progress")}});
  events_.Add("response.in_progress", {{"response", Response("in_progress")}});
  return events_.Take();
}

std::string ResponsesWriter::Token(const Generation& generation, size_t answer,
                                   const TokenEvent& token) {
  Read(token, generation.answers()[answer].wants_logprobs);
  return events_.Take();
}

// Codex counts events and not comments before it gives up a server.
std::string ResponsesWriter::Waiting(const Generation& generation) {
  events_.Add("response.in_progress", {{"response", Response("in_progress")},
                                       {"prompt_progress", PromptProgressJson(generation)}});
  return events_.Take();
}

std::string ResponsesWriter::AnswerEnd(const Generation& generation, size_t answer) {
  Finish(generation.answers()[answer]);
  return events_.Take();
}

std::string ResponsesWriter::End(const Generation& generation) {
  const Answer& answer = generation.answers()[0];
  const bool cut = answer.finish == FinishReason::kLength;
  events_.Add(cut ? "response.incomplete" : "response.completed",
              {{"response", Ended(generation, answer)}});
  return events_.Take();
}

// The client libraries throw what an event "error" says, some of them only what is under "error" in
// it, where OpenAI's documents do not have it; Codex reads the response.
std::string ResponsesWriter::Failure(const Error& error) {
  const std::string_view code = FailureCode(error.kind);
  const Json what{{"code", code}, {"message", error.message}, {"param", nullptr}};
  Json event = what;
  event["error"] = what;
  event["error"]["type"] = code;
  events_.Add("error", event);
  Json response = Response("failed");
  response["error"] = {{"code", code}, {"message", error.message}};
  events_.Add("response.failed", {{"response", std::move(response)}});
  return events_.Take();
}

void ResponsesWriter::Read(const TokenEvent& token, bool wants_logprobs) {
  if (wants_logprobs) held_.push_back(Logprobs(token.sampled));
  Add(reader_->Push(token));
}

// Logprobs go with the first text that comes with or after their tokens. Thoughts and calls have
// none.
void ResponsesWriter::Add(const std::vector<ChatPiece>& pieces) {
  for (const ChatPiece& piece : pieces) {
    Json logprobs = std::exchange(held_, Json::array());
    items_->Add(piece, std::move(logprobs));
  }
}

void ResponsesWriter::Finish(const Answer& answer) {
  Add(reader_->Finish());
  items_->End(answer.finish == FinishReason::kLength, std::exchange(held_, Json::array()));
}

Json ResponsesWriter::Logprobs(const SampledToken& token) const {
  const auto one = [this](int32_t id, float logprob) {
    return Json{{"token", TokenLabel(service_, id)},
                {"logprob", LogprobNumber(logprob)},
                {"bytes", BytesJson(service_.TokenBytes(id))}};
  };
  Json json = one(token.token, token.logprob);
  json["top_logprobs"] = Json::array();
  for (const TokenLogprob& top : token.top) {
    json["top_logprobs"].push_back(one(top.token, top.logprob));
  }
  return json;
}

Json ResponsesWriter::Response(std::string_view status) const {
  Json json{{"id", id_},
            {"object", "response"},
            {"created_at", created_},
            {"status", status},
            {"completed_at", nullptr},
            {"error", nullptr},
            {"incomplete_details", nullptr},
            {"model", model_},
            {"output", items_->Output()},
            {"usage", nullptr},
            {"system_fingerprint", service_.model().fingerprint}};
  json.update(form_.echo);
  return json;
}

void ResponsesWriter::Remember(const Json& response) const {
  if (form_.store == nullptr) return;
  form_.store->Put(form_.owner, id_, form_.previous, form_.input, response);
}

// The seed is an addition to OpenAI's form: with it the response can be had again.
Json ResponsesWriter::Ended(const Generation& generation, const Answer& answer) const {
  const bool cut = answer.finish == FinishReason::kLength;
  Json json = Response(cut ? "incomplete" : "completed");
  if (cut) {
    json["incomplete_details"] = {{"reason", "max_output_tokens"}};
  } else {
    json["completed_at"] = static_cast<int64_t>(std::time(nullptr));
  }
  json["usage"] = UsageOf(generation.usage(), reader_->reasoning_tokens());
  json["seed"] = SeedJson(answer);
  Remember(json);
  return json;
}

}  // namespace lockstep
