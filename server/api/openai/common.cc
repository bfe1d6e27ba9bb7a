// What both of OpenAI's routes read and write in the same way.
#include "server/api/openai/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/utf8.h"
#include "server/api/receipt.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

// continuous_usage_stats is vLLM's. include_obfuscation asks for padding that hides the lengths of
// tokens from whoever reads the traffic, so that it is refused and not ignored.
void ReadStreamOptions(FieldReader& fields, ReadContext& context, OpenAiRequest& request) {
  const bool sent = fields.Object(
      "stream_options", "must be an object", context.unknown(), [&](FieldReader& options) {
        options.Bool("include_usage", &request.include_usage);
        options.Bool("continuous_usage_stats", &request.continuous_usage);
        bool obfuscation = false;
        options.Bool("include_obfuscation", &obfuscation);
        if (obfuscation) options.Fail("include_obfuscation", "is not supported: leave it out");
      });
  if (sent && !request.generate.stream) {
    fields.Fail("stream_options", "is only allowed when stream is true");
  }
}

// -1 is as many as the context holds beside a token of the answer.
void ReadTruncation(FieldReader& fields, const ReadContext& context, GenerateRequest& request) {
  constexpr char kName[] = "truncate_prompt_tokens";
  int64_t kept = 0;
  if (!fields.Integer(kName, -1, INT32_MAX, &kept)) return;
  if (kept == 0) fields.Fail(kName, "must not be 0: a prompt has a token at least");
  request.keep_prompt = kept < 0 ? context.service.model().context - 1 : static_cast<size_t>(kept);
}

// How many answers there are to a prompt, and out of how many they are the best.
void ReadCounts(FieldReader& fields, GenerateRequest& request) {
  fields.Integer("n", 1, kMaxAnswers, &request.n);
  request.best_of = request.n;
  fields.Integer("best_of", 1, kMaxAnswers, &request.best_of);
  if (request.best_of < request.n) {
    fields.Fail("best_of",
                fmt::format("is {}, but n is {}: it must not be less", request.best_of, request.n));
  }
  if (request.stream && request.best_of > request.n) {
    fields.Fail("best_of", "above n cannot be streamed: the best is known only at the end");
  }
}

// {"type": "content", "content": a text, or its parts}
void ReadPrediction(FieldReader& fields, ReadContext& context, GenerateRequest& generate) {
  constexpr std::string_view kForm = R"(must be {"type": "content", "content": a text})";
  fields.Object("prediction", kForm, context.unknown(), [&](FieldReader& prediction) {
    prediction.Take("type");
    const Json* const content = prediction.Take("content");
    if (content == nullptr || !(content->is_string() || content->is_array())) {
      return prediction.Fail("content", "must be a text, or an array of parts with a text each");
    }
    if (content->is_string()) generate.prediction = content->get<std::string>();
    for (size_t i = 0; content->is_array() && i < content->size(); ++i) {
      const auto part = fmt::format("content[{}]", i);
      prediction.Nested((*content)[i], part, "must be an object with a text", context.unknown(),
                        [&](FieldReader& inner) {
                          std::string text;
                          inner.Take("type");
                          if (!inner.Text("text", &text)) inner.Fail("text", "is missing");
                          generate.prediction += text;
                        });
    }
  });
}

// What asks something of OpenAI's servers that this one does not do, and changes no answer here. It
// is told, so that nobody counts on it.
void ReadForOthers(FieldReader& fields, ReadContext& context) {
  std::string text;
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) {
    fields.Text(name, &text);
  }
  if (const Json* const metadata = fields.Take("metadata"); metadata && !metadata->is_object()) {
    fields.Fail("metadata", "must be an object");
  }
  bool store = false;
  const bool obeyed = fields.IsRead("store");
  if (fields.Bool("store", &store) && store && !obeyed) context.ignored.emplace_back("store");
  if (fields.Text("service_tier", &text) && text != "auto" && text != "default") {
    context.ignored.emplace_back("service_tier");
  }
  for (const char* name : {"verbosity", "prompt_cache_retention", "web_search_options"}) {
    if (fields.Has(name)) context.ignored.emplace_back(name);
  }
}

// Of this choice alone, as vLLM counts it: how far the others are by then is another thing each
// time, and a stream that goes on elsewhere is to have the same pieces.
Json UsageOfPiece(const Answer& answer) {
  const size_t made = answer.tokens.size();
  return {{"prompt_tokens", answer.prompt_tokens},
          {"completion_tokens", made},
          {"total_tokens", answer.prompt_tokens + made}};
}

}  // namespace

void ReadOpenAiFields(FieldReader& fields, ReadContext& context, OpenAiRequest& request) {
  GenerateRequest& generate = request.generate;
  SamplingParams& sampling = generate.options.sampling;
  SetOpenDefaults(sampling);
  ReadModel(fields, context, &request.model);
  ReadSampling(fields, context, generate);
  // This is llama-server's name for repetition_penalty.
  float other_name = sampling.repetition_penalty;
  if (fields.Float("repeat_penalty", {0, 100, true}, &other_name)) {
    if (fields.Take("repetition_penalty") && other_name != sampling.repetition_penalty) {
      fields.Fail("repeat_penalty", "and repetition_penalty are the same, but differ: send one");
    }
    sampling.repetition_penalty = other_name;
  }
  ReadTruncation(fields, context, generate);
  ReadCounts(fields, generate);
  ReadStreamOptions(fields, context, request);
  request.format = ReadResponseFormat(fields, context);
  ReadPrediction(fields, context, generate);
  ReadForOthers(fields, context);
}

// -1 is the whole vocabulary to vLLM, which is more than an answer can hold.
void ReadVllmWishes(FieldReader& fields, ReadContext& context, OpenAiRequest& request) {
  fields.Bool("return_token_ids", &request.return_token_ids);
  if (request.return_token_ids && request.generate.stream) {
    context.ignored.emplace_back("return_token_ids");
  }
  if (!fields.Integer("prompt_logprobs", 0, kMaxLogprobs, &request.prompt_logprobs)) return;
  if (request.generate.stream) {
    fields.Fail("prompt_logprobs", "are not streamed: send stream false");
  }
  request.generate.options.prompt_logprobs = request.prompt_logprobs;
}

std::string TokenLabel(const GenerationService& service, int32_t token) {
  if (service.IsControl(token)) return std::string(service.TokenText(token));
  const std::string_view bytes = service.TokenBytes(token);
  if (IsUtf8(bytes)) return std::string(bytes);
  // OpenAI writes it so, since a JSON string cannot hold a part of a character.
  std::string label = "bytes:";
  for (const char byte : bytes) label += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return label;
}

Json PromptLogprobsJson(const GenerationService& service, const Answer& answer, int32_t top) {
  const PromptLogprobs& scores = *answer.prompt_logprobs;
  const auto one = [&service](const TokenLogprob& token, size_t rank) {
    return Json{{"logprob", LogprobNumber(token.logprob)},
                {"rank", rank},
                {"decoded_token", TokenLabel(service, token.token)}};
  };
  Json all = Json::array({nullptr});
  for (size_t i = 0; i < scores.tokens.size(); ++i) {
    const TokenLogprob& token = scores.tokens[i];
    Json tokens{{fmt::to_string(token.token), one(token, scores.ranks[i])}};
    const auto likeliest = scores.Top(i).first(std::min(scores.width, static_cast<size_t>(top)));
    for (size_t rank = 1; const TokenLogprob& other : likeliest) {
      tokens.emplace(fmt::to_string(other.token), one(other, rank++));
    }
    all.push_back(std::move(tokens));
  }
  return all;
}

OpenAiWriter::OpenAiWriter(const GenerationService& service, const OpenAiRequest& request)
    : service_(service),
      model_(request.model),
      include_usage_(request.include_usage),
      continuous_usage_(request.continuous_usage),
      has_prediction_(!request.generate.prediction.empty()),
      return_token_ids_(request.return_token_ids) {}

// All events of a stream have the same head, with the time at which the answer was begun.
Json OpenAiWriter::Head(const Generation& generation, std::string_view object) const {
  return {{"id", generation.id()},
          {"object", object},
          {"created", generation.origin().created},
          {"model", model_},
          {"system_fingerprint", service_.model().fingerprint}};
}

Json OpenAiWriter::UsageOf(const Generation& generation) const {
  const Usage counts = generation.usage();
  Json usage = UsageJson(counts), details = Json::object();
  if (const auto tokens = ReasoningTokens(generation)) details["reasoning_tokens"] = *tokens;
  if (has_prediction_) {
    details["accepted_prediction_tokens"] = counts.kept_tokens;
    details["rejected_prediction_tokens"] = counts.drafted_tokens - counts.kept_tokens;
  }
  if (!details.empty()) usage["completion_tokens_details"] = std::move(details);
  return usage;
}

// The seed is an addition to OpenAI's form: with it a single choice can be had again.
std::string OpenAiWriter::Whole(const Generation& generation) {
  Json json = Head(generation, object());
  json.update(Beside(generation));
  Json choices = Json::array();
  for (const Answer* const answer : generation.Chosen()) {
    Json choice{{"index", choices.size()}};
    choice.update(Choice(generation, *answer, choices.size()));
    if (return_token_ids_) choice["token_ids"] = answer->tokens;
    choice["finish_reason"] = Finish(*answer);
    choice["seed"] = SeedJson(*answer);
    choice["receipt"] = ReceiptJson(service_, generation, *answer);
    choices.push_back(std::move(choice));
  }
  json["choices"] = std::move(choices);
  json["usage"] = UsageOf(generation);
  return Dump(json);
}

// With include_usage every piece has "usage": null but the last, which has the numbers, as OpenAI
// defines it.
Json OpenAiWriter::Piece(const Generation& generation, size_t index, const Json& choice,
                         const Json& finish) const {
  Json whole{{"index", index}};
  whole.update(choice);
  whole["finish_reason"] = finish;
  if (!finish.is_null()) {
    const Answer& answer = generation.answers()[index];
    whole["seed"] = SeedJson(answer);
    whole["receipt"] = ReceiptJson(service_, generation, answer);
  }
  Json json = Head(generation, chunk_object());
  json["choices"] = Json::array({std::move(whole)});
  if (continuous_usage_) {
    json["usage"] = UsageOfPiece(generation.answers()[index]);
  } else if (include_usage_) {
    json["usage"] = nullptr;
  }
  return json;
}

std::string OpenAiWriter::Chunk(const Generation& generation, size_t index, const Json& choice,
                                const Json& finish) const {
  return FrameEvent(StreamFormat::kSse, Dump(Piece(generation, index, choice, finish)));
}

std::string OpenAiWriter::Waits(const Generation& generation, const Json& choice) const {
  Json json = Piece(generation, 0, choice, nullptr);
  json["prompt_progress"] = PromptProgressJson(generation);
  return FrameEvent(StreamFormat::kSse, Dump(json));
}

std::string OpenAiWriter::End(const Generation& generation) {
  std::string events;
  if (include_usage_) {
    Json json = Head(generation, chunk_object());
    json["choices"] = Json::array();
    json["usage"] = UsageOf(generation);
    events = FrameEvent(StreamFormat::kSse, Dump(json));
  }
  return events + FrameEvent(StreamFormat::kSse, "[DONE]");
}

std::string OpenAiWriter::Failure(const Error& error) {
  return FrameEvent(StreamFormat::kSse, RenderError(error));
}

}  // namespace lockstep
