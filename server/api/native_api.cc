// This server's own dialect: one prompt and one answer, with the engine's own names and defaults,
// so that there is little to translate. A field that it does not know is an error and is not passed
// over, since nobody's client library sends fields of another API here.
#include "server/api/native_api.h"

#include <cmath>
#include <string>
#include <utility>

#include "server/api/answer_json.h"
#include "server/api/receipt.h"
#include "server/api/response_format.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

void ReadPrompt(FieldReader& fields, size_t vocab, GenerateRequest& request) {
  const Json* const value = fields.Take("prompt");
  if (value == nullptr) {
    return fields.Fail("prompt", "is missing: a string, or a list of token ids");
  }
  if (!value->is_string() && !value->is_array()) {
    return fields.Fail("prompt", "must be a string or a list of token ids");
  }
  const bool is_text = value->is_string();
  if (is_text ? value->get_ref<const std::string&>().empty() : value->empty()) {
    return fields.Fail("prompt", "is empty");
  }
  if (is_text) {
    request.prompts = {value->get<std::string>()};
    return;
  }
  auto ids = ReadTokenIds(*value, vocab, "prompt", "prompt");
  if (!ids) return fields.Fail(std::move(ids.error()));
  request.prompts = {*std::move(ids)};
}

// true is 0: the chosen token's alone.
void ReadLogprobs(FieldReader& fields, int32_t* logprobs) {
  const Json* const value = fields.Take("logprobs");
  if (value == nullptr) return;
  if (value->is_boolean()) {
    *logprobs = value->get<bool>() ? 0 : -1;
  } else if (value->is_number()) {  // 8.0 is 8
    fields.Integer("logprobs", 0, kMaxLogprobs, logprobs);
  } else {
    fields.Fail("logprobs", "must be an integer from 0 to 20, true or false");
  }
}

// Three places are enough for milliseconds and tokens per second, and keep the answer short.
double Rounded(double value) { return std::round(value * 1000) / 1000; }

// The bytes are there besides the text, since a token may be a part of a character, which no JSON
// string can hold.
Json TokenLogprobJson(const GenerationService& service, int32_t token, float logprob) {
  const std::string_view bytes = service.TokenBytes(token);
  return {{"token", token},
          {"text", std::string(bytes)},
          {"logprob", LogprobNumber(logprob)},
          {"bytes", BytesJson(bytes)}};
}

Json LogprobsJson(const GenerationService& service, const SampledToken& sampled) {
  Json json = TokenLogprobJson(service, sampled.token, sampled.logprob);
  json["top"] = Json::array();
  for (const TokenLogprob& top : sampled.top) {
    json["top"].push_back(TokenLogprobJson(service, top.token, top.logprob));
  }
  return json;
}

class NativeWriter : public AnswerWriter {
 public:
  NativeWriter(const GenerationService& service, StreamFormat format)
      : service_(service), format_(format) {}

  std::string_view id_prefix() const override { return "gen"; }
  std::string_view stream_type() const override { return ContentType(format_); }
  std::string Token(const Generation& generation, size_t, const TokenEvent& event) override {
    Json json{{"index", event.index}, {"token", event.sampled.token}, {"text", event.text}};
    if (generation.answers()[0].wants_logprobs) {
      json["logprobs"] = LogprobsJson(service_, event.sampled);
    }
    return FrameEvent(format_, Dump(json));
  }
  std::string Waiting(const Generation& generation) override {
    return FrameEvent(
        format_, Dump(Json{{"text", ""}, {"prompt_progress", PromptProgressJson(generation)}}));
  }
  std::string Failure(const Error& error) override {
    return FrameEvent(format_, RenderError(error));
  }
  std::string Whole(const Generation& generation) override { return Dump(AnswerJson(generation)); }
  std::string End(const Generation& generation) override {
    Json json = AnswerJson(generation);
    json["done"] = true;
    return FrameEvent(format_, Dump(json));
  }

 private:
  Json AnswerJson(const Generation& generation) const {
    const Answer& answer = generation.answers()[0];
    Json json{{"id", generation.id()},
              {"text", answer.text},
              {"tokens", answer.tokens},
              {"finish_reason", FinishName(answer.finish)},
              {"usage", UsageJson(generation.usage())},
              {"timings",
               {{"queue_ms", Rounded(answer.stats.queue_s * 1000)},
                {"prefill_ms", Rounded(answer.stats.prefill_s * 1000)},
                {"decode_ms", Rounded(answer.stats.decode_s * 1000)},
                {"draft_n", answer.stats.drafted_tokens},
                {"draft_n_accepted", answer.stats.kept_tokens},
                {"prefill_tokens_per_second", Rounded(PrefillTokensPerSecond(answer))},
                {"decode_tokens_per_second", Rounded(DecodeTokensPerSecond(answer))}}},
              {"seed", SeedJson(answer)},
              {"system_fingerprint", service_.model().fingerprint},
              {"receipt", ReceiptJson(service_, generation, answer)}};
    if (answer.wants_logprobs) {
      json["logprobs"] = Json::array();
      for (const SampledToken& token : answer.logprobs) {
        json["logprobs"].push_back(LogprobsJson(service_, token));
      }
    }
    return json;
  }

  const GenerationService& service_;
  const StreamFormat format_;
};

}  // namespace

Result<GenerateRequest> ReadNativeRequest(const Json& body, ReadContext& context) {
  GenerateRequest request;
  FieldReader fields(body);
  ReadPrompt(fields, context.vocab(), request);
  fields.Integer("max_tokens", 1, INT32_MAX, &request.options.max_tokens);
  ReadSampling(fields, context, request);
  ReadLogprobs(fields, &request.options.sampling.logprobs);
  fields.Bool("parse_special", &request.parse_special);
  ReadModel(fields, context);
  const AnswerFormat format = ReadNativeFormat(fields, context);
  TRY_OK(fields.Finish(context.unknown()));
  TRY_OK(BindAnswerFormat(format, context, &request.options));
  return request;
}

namespace {

Result<DialectRequest> ReadNative(const Json& body, ReadContext& context) {
  TRY(GenerateRequest request, ReadNativeRequest(body, context));
  const StreamFormat format = ChooseStreamFormat(context.accept);
  return DialectRequest{std::move(request),
                        std::make_unique<NativeWriter>(context.service, format)};
}

}  // namespace

const Dialect kNative = {ReadNative, ErrorReply, "prompt", /*strict=*/true};

}  // namespace lockstep
