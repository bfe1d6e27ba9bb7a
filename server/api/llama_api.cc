// The answer is one flat object with all that llama-server tells; a stream has pieces of it, and
// the object without its text as the last event, after which there is no [DONE].
#include "server/api/llama_api.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/utf8.h"
#include "server/api/answer_json.h"
#include "server/api/fill_prompt.h"
#include "server/api/llama_fields.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

// What a token takes in a reply as text: most take less.
constexpr size_t kTokenTextBytes = 16;

Json TokenLogprobJson(const GenerationService& service, const TokenLogprob& token) {
  const std::string_view bytes = service.TokenBytes(token.token);
  return {{"id", token.token},
          {"token", IsUtf8(bytes) ? std::string(bytes) : ""},
          {"bytes", BytesJson(bytes)},
          {"logprob", LogprobNumber(token.logprob)}};
}

Json ProbabilityJson(const GenerationService& service, const SampledToken& sampled) {
  Json json = TokenLogprobJson(service, {sampled.token, sampled.logprob});
  json["top_logprobs"] = Json::array();
  for (const TokenLogprob& top : sampled.top) {
    json["top_logprobs"].push_back(TokenLogprobJson(service, top));
  }
  return json;
}

// llama-server's timings, in milliseconds and tokens per second.
Json TimingsJson(const Answer& answer) {
  const JobStats& stats = answer.stats;
  const size_t read = answer.prompt_tokens - stats.cached_tokens, made = answer.tokens.size();
  const auto per_token = [](double seconds, size_t tokens) {
    return tokens == 0 ? 0 : seconds * 1000 / static_cast<double>(tokens);
  };
  return {{"cache_n", stats.cached_tokens},
          {"prompt_n", read},
          {"prompt_ms", stats.prefill_s * 1000},
          {"prompt_per_token_ms", per_token(stats.prefill_s, read)},
          {"prompt_per_second", PerSecond(read, stats.prefill_s)},
          {"predicted_n", made},
          {"predicted_ms", stats.decode_s * 1000},
          {"predicted_per_token_ms", per_token(stats.decode_s, made)},
          {"predicted_per_second", DecodeTokensPerSecond(answer)},
          {"draft_n", stats.drafted_tokens},
          {"draft_n_accepted", stats.kept_tokens}};
}

// What was asked for, as the engine has taken it.
Json SettingsJson(const LlamaRequest& request, const Answer& answer) {
  const GenerationOptions& options = request.generate.options;
  const SamplingParams& sampling = options.sampling;
  const int64_t limit = request.prompt_only ? 0
                        : options.max_tokens >= INT32_MAX
                            ? -1
                            : static_cast<int64_t>(options.max_tokens);
  return {{"seed", SeedJson(answer)},
          {"temperature", sampling.temperature},
          {"dynatemp_range", sampling.dynatemp_range},
          {"dynatemp_exponent", sampling.dynatemp_exponent},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"min_p", sampling.min_p},
          {"top_n_sigma", sampling.top_n_sigma},
          {"xtc_probability", sampling.xtc_probability},
          {"xtc_threshold", sampling.xtc_threshold},
          {"typical_p", sampling.typical_p},
          {"repeat_last_n", sampling.repeat_last_n},
          {"repeat_penalty", sampling.repetition_penalty},
          {"presence_penalty", sampling.presence_penalty},
          {"frequency_penalty", sampling.frequency_penalty},
          {"dry_multiplier", sampling.dry.multiplier},
          {"dry_base", sampling.dry.base},
          {"dry_allowed_length", sampling.dry.allowed_length},
          {"dry_penalty_last_n", sampling.dry.last_n},
          {"mirostat", 0},
          {"stop", options.stop},
          {"max_tokens", limit},
          {"n_predict", limit},
          {"ignore_eos", options.ignore_eos},
          {"stream", request.generate.stream},
          {"n_probs", std::max(sampling.logprobs, 0)},
          {"grammar", request.format.gbnf}};
}

class LlamaWriter : public AnswerWriter {
 public:
  LlamaWriter(const GenerationService& service, LlamaRequest request)
      : service_(service), request_(std::move(request)) {}

  std::string_view id_prefix() const override { return "cmpl"; }
  std::string Token(const Generation& generation, size_t i, const TokenEvent& token) override {
    if (request_.prompt_only) return {};
    const Answer& answer = generation.answers()[i];
    Json json{{"index", i},
              {"content", token.text},
              {"tokens", Json::array({token.sampled.token})},
              {"stop", false},
              {"id_slot", 0},
              {"tokens_predicted", answer.tokens.size()},
              {"tokens_evaluated", answer.prompt_tokens}};
    if (answer.wants_logprobs) {
      json["completion_probabilities"] = Json::array({ProbabilityJson(service_, token.sampled)});
    }
    return Event(json);
  }
  std::string Waiting(const Generation& generation) override {
    return ": " + Dump(Json{{"prompt_progress", PromptProgressJson(generation)}}) + "\n\n";
  }
  std::string AnswerEnd(const Generation& generation, size_t i) override {
    Json json = FinalJson(generation, generation.answers()[i], i);
    json["content"] = "";
    json["tokens"] = Json::array();
    return Event(Wanted(std::move(json)));
  }
  std::string End(const Generation&) override { return {}; }
  std::string Failure(const Error& error) override {
    return FrameEvent(StreamFormat::kSse, RenderError(error));
  }
  std::string Whole(const Generation& generation) override {
    Json list = Json::array();
    for (const Answer& answer : generation.answers()) {
      Json json = FinalJson(generation, answer, list.size());
      if (answer.wants_logprobs && !request_.prompt_only) {
        json["completion_probabilities"] = Json::array();
        for (const SampledToken& token : answer.logprobs) {
          json["completion_probabilities"].push_back(ProbabilityJson(service_, token));
        }
      }
      list.push_back(Wanted(std::move(json)));
    }
    return Dump(request_.as_list ? list : list[0]);
  }

 private:
  static std::string Event(const Json& json) { return FrameEvent(StreamFormat::kSse, Dump(json)); }
  std::string StopType(const Answer& answer) const {
    if (request_.prompt_only || answer.finish == FinishReason::kLength) return "limit";
    return answer.stop ? "word" : "eos";
  }
  Json FinalJson(const Generation& generation, const Answer& answer, size_t index) const {
    const bool none = request_.prompt_only;
    const std::string text = none ? "" : answer.text;
    const size_t n = generation.request().n;
    return {{"index", index},
            {"content", text},
            {"tokens", none || !request_.return_tokens ? Json::array() : Json(answer.tokens)},
            {"id_slot", 0},
            {"stop", true},
            {"model", request_.model},
            {"tokens_predicted", none ? 0 : answer.tokens.size()},
            {"tokens_evaluated", answer.prompt_tokens},
            {"generation_settings", SettingsJson(request_, answer)},
            {"prompt", service_.Decode(generation.prompts()[index / n])},
            {"has_new_line", text.find('\n') != text.npos},
            {"truncated", false},
            {"stop_type", StopType(answer)},
            {"stopping_word", answer.stop.value_or("")},
            {"tokens_cached", answer.prompt_tokens + answer.tokens.size() - 1},
            {"timings", TimingsJson(answer)}};
  }
  // "a/b" is b of a, under that very name, as llama-server has it; what is not there is left out.
  Json Wanted(Json json) const {
    if (request_.response_fields.empty()) return json;
    Json wanted = Json::object();
    for (const std::string& path : request_.response_fields) {
      const Json* value = &json;
      for (size_t at = 0; value != nullptr && at <= path.size();) {
        const size_t slash = std::min(path.find('/', at), path.size());
        const auto found =
            value->is_object() ? value->find(path.substr(at, slash - at)) : value->end();
        value = found == value->end() ? nullptr : &*found;
        at = slash + 1;
      }
      if (value != nullptr) wanted[path] = *value;
    }
    return wanted;
  }

  const GenerationService& service_;
  const LlamaRequest request_;
};

// An answer repeats its settings and its prompt: what is written of all of them at once, as JSON
// and as text.
size_t RepeatedBytes(const LlamaRequest& request) {
  size_t settings = request.format.gbnf.size(), prompts = 0;
  for (const std::string& stop : request.generate.options.stop) settings += stop.size();
  for (const GenerateRequest::Prompt& prompt : request.generate.prompts) {
    const auto* const text = std::get_if<std::string>(&prompt);
    prompts += text != nullptr ? text->size()
                               : std::get<std::vector<int32_t>>(prompt).size() * kTokenTextBytes;
  }
  return 2 * request.generate.n * (request.generate.prompts.size() * settings + prompts);
}

Result<DialectRequest> Finish(FieldReader& fields, ReadContext& context, LlamaRequest request) {
  TRY_OK(fields.Finish(context.unknown()));
  TRY_OK(BindAnswerFormat(request.format, context, &request.generate.options));
  DialectRequest read;
  read.generate = request.generate;
  read.repeated_bytes = RepeatedBytes(request);
  request.generate.prompts.clear();
  read.writer = std::make_unique<LlamaWriter>(context.service, std::move(request));
  return read;
}

Result<DialectRequest> ReadCompletion(const Json& body, ReadContext& context) {
  LlamaRequest request;
  FieldReader fields(body);
  ReadLlamaFields(fields, context, request);
  ReadLlamaPrompt(fields, context, request);
  return Finish(fields, context, std::move(request));
}

void ReadFiles(FieldReader& fields, ReadContext& context, std::vector<FillText>* files) {
  constexpr std::string_view kForm = R"(must be a list of {"filename": a name, "text": a text})";
  const Json* const value = fields.Take("input_extra");
  if (value == nullptr) return;
  if (!value->is_array()) return fields.Fail("input_extra", kForm);
  for (size_t i = 0; i < value->size(); ++i) {
    FillText file{"tmp", ""};
    fields.Nested((*value)[i], "input_extra[" + std::to_string(i) + "]", kForm, context.unknown(),
                  [&](FieldReader& inner) {
                    inner.Text("filename", &file.name);
                    if (!inner.Text("text", &file.text)) inner.Fail("text", "is missing");
                    inner.Take("time");  // llama.vscode: when it was added
                  });
    files->push_back(std::move(file));
  }
}

Result<DialectRequest> ReadInfill(const Json& body, ReadContext& context) {
  TRY_OK(CheckCanFill(context.service.model(), "input_suffix"));
  LlamaRequest request;
  FillGap gap;
  FieldReader fields(body);
  ReadLlamaFields(fields, context, request);
  for (const auto& [name, text] :
       {std::pair{"input_prefix", &gap.prefix}, std::pair{"input_suffix", &gap.suffix}}) {
    if (!fields.Text(name, text) && fields.ok()) fields.Fail(name, "is missing: a text");
  }
  fields.Text("prompt", &gap.begun);
  ReadFiles(fields, context, &gap.files);
  if (!fields.ok()) return tl::unexpected(fields.error());
  size_t bytes = gap.prefix.size() + gap.suffix.size() + gap.begun.size();
  for (const FillText& file : gap.files) bytes += file.text.size() + file.name.size();
  TRY_OK(context.memory.Grow(bytes * Tokenizer::kEncodeBytes));
  const size_t answer =
      std::min(request.generate.options.max_tokens, context.service.model().context / 4);
  request.generate.prompts = {
      InfillPrompt(context.service, gap, answer, request.generate.parse_special)};
  request.as_list = request.generate.n > 1;
  return Finish(fields, context, std::move(request));
}

}  // namespace

const Dialect kLlamaCompletion = {ReadCompletion, ErrorReply, "prompt"};
const Dialect kLlamaInfill = {ReadInfill, ErrorReply, "input_prefix"};

}  // namespace lockstep
