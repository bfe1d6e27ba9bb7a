#include "server/api/openai/common.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "core/base/utf8.h"
#include "server/api/response_format.h"
#include "server/api/server_info.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

void ReadModel(FieldReader& fields, const ReadContext& context, std::string* model) {
  const ServedModel& served = context.service.model();
  *model = served.name;
  if (!fields.Text("model", model)) return;
  if (IsModelName(served, context.model_aliases, *model)) return;
  fields.Fail(NoSuchModel(served, *model));
}

void ReadStreamOptions(FieldReader& fields, ReadContext& context, OpenAiRequest& request) {
  const Json* const value = fields.Take("stream_options");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.Fail("stream_options", "must be an object");
  if (!request.generate.stream) {
    return fields.Fail("stream_options", "is only allowed when stream is true");
  }
  FieldReader options(*value, "stream_options.");
  options.Bool("include_usage", &request.include_usage);
  bool obfuscation = false;
  options.Bool("include_obfuscation", &obfuscation);
  if (obfuscation) options.Fail("include_obfuscation", "is not supported: leave it out");
  if (Status status = options.Finish(context.unknown()); !status) fields.Fail(status.error());
}

// Fields that change nothing here. What they ask of others' servers is refused.
void ReadWithoutEffect(FieldReader& fields) {
  std::string text;
  fields.Text("user", &text);
  fields.Text("safety_identifier", &text);
  fields.Text("prompt_cache_key", &text);
  if (const Json* const metadata = fields.Take("metadata"); metadata && !metadata->is_object()) {
    fields.Fail("metadata", "must be an object");
  }
  bool store = false;
  fields.Bool("store", &store);
  if (store) fields.Fail("store", "is not supported: this server keeps no answers");
  if (fields.Text("service_tier", &text) && text != "auto" && text != "default") {
    fields.Fail("service_tier", "must be auto or default: this server has one");
  }
}

}  // namespace

void ReadOpenAiFields(FieldReader& fields, ReadContext& context, OpenAiRequest& request) {
  GenerateRequest& generate = request.generate;
  SamplingParams& sampling = generate.options.sampling;
  sampling.temperature = 1;
  sampling.top_k = 0;
  sampling.top_p = 1;
  sampling.min_p = 0;
  ReadModel(fields, context, &request.model);
  ReadSampling(fields, context.vocab(), generate);
  float other_name = sampling.repetition_penalty;
  if (fields.Float("repeat_penalty", {0, 100, true}, &other_name)) {
    if (fields.Take("repetition_penalty") && other_name != sampling.repetition_penalty) {
      fields.Fail("repeat_penalty", "and repetition_penalty are the same, but differ: send one");
    }
    sampling.repetition_penalty = other_name;
  }
  fields.Integer("n", 1, kMaxAnswers, &generate.n);
  generate.best_of = generate.n;
  ReadStreamOptions(fields, context, request);
  ReadResponseFormat(fields, context, &generate.options);
  ReadWithoutEffect(fields);
}

std::string TokenLabel(const GenerationService& service, int32_t token) {
  if (service.IsControl(token)) return std::string(service.TokenText(token));
  const std::string_view bytes = service.TokenBytes(token);
  if (IsUtf8(bytes)) return std::string(bytes);
  std::string label = "bytes:";
  for (const char byte : bytes) label += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return label;
}

OpenAiWriter::OpenAiWriter(const GenerationService& service, const OpenAiRequest& request)
    : service_(service),
      model_(request.model),
      include_usage_(request.include_usage),
      created_(static_cast<int64_t>(std::time(nullptr))) {}

Json OpenAiWriter::Head(const Generation& generation, std::string_view object) const {
  return {{"id", generation.id()},
          {"object", object},
          {"created", created_},
          {"model", model_},
          {"system_fingerprint", service_.model().fingerprint}};
}

std::string OpenAiWriter::Whole(const Generation& generation) {
  Json json = Head(generation, object());
  Json choices = Json::array();
  for (const Answer* const answer : generation.Chosen()) {
    Json choice{{"index", choices.size()}};
    choice.update(Choice(generation, *answer, choices.size()));
    choice["finish_reason"] = Finish(*answer);
    choice["seed"] = SeedJson(*answer);
    choices.push_back(std::move(choice));
  }
  json["choices"] = std::move(choices);
  json["usage"] = UsageJson(generation.usage());
  return Dump(json);
}

std::string OpenAiWriter::Chunk(const Generation& generation, size_t index, Json choice,
                                const Json& finish) const {
  Json whole{{"index", index}};
  whole.update(choice);
  whole["finish_reason"] = finish;
  if (!finish.is_null()) whole["seed"] = SeedJson(generation.answers()[index]);
  Json json = Head(generation, chunk_object());
  json["choices"] = Json::array({std::move(whole)});
  if (include_usage_) json["usage"] = nullptr;
  return FrameEvent(StreamFormat::kSse, Dump(json));
}

std::string OpenAiWriter::End(const Generation& generation) {
  std::string events;
  if (include_usage_) {
    Json json = Head(generation, chunk_object());
    json["choices"] = Json::array();
    json["usage"] = UsageJson(generation.usage());
    events = FrameEvent(StreamFormat::kSse, Dump(json));
  }
  return events + FrameEvent(StreamFormat::kSse, "[DONE]");
}

std::string OpenAiWriter::Failure(const Error& error) {
  return FrameEvent(StreamFormat::kSse, RenderError(error));
}

}  // namespace lockstep
