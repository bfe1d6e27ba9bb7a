// The dialect's own defaults differ from ours (no chance unless asked for, 100 tokens), and its
// errors have statuses of their own: both stand here and nowhere else.
#include "server/api/tgi_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/api/answer_json.h"
#include "server/api/response_format.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

// text-generation-inference documents this default.
constexpr size_t kDefaultNewTokens = 100;
constexpr int64_t kMaxTopTokens = 20;

struct TgiRequest {
  GenerateRequest generate;
  bool details = false;
  bool prefill = false;           // the prompt's tokens are part of the details
  bool return_full_text = false;  // the prompt's text comes before the answer's
  size_t top_n_tokens = 0;        // likeliest tokens at each place
  bool as_list = false;           // an unstreamed answer stands in a list of one
};

// Text, cut to its last `truncate` tokens if that is not 0. What is put before a text (BOS) stays.
GenerateRequest::Prompt TruncatedPrompt(const GenerationService& service, std::string text,
                                        size_t truncate) {
  if (truncate == 0) return text;
  std::vector<int32_t> ids = service.Encode(text);
  const size_t kept = !ids.empty() && service.IsControl(ids[0]) ? 1 : 0;
  truncate = std::max(truncate, kept + 1);
  if (ids.size() > truncate) {
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(kept),
              ids.end() - static_cast<ptrdiff_t>(truncate - kept));
  }
  return ids;
}

// In this dialect the likeliest token is taken unless something asks for chance.
void ReadTgiSampling(FieldReader& fields, const ReadContext& context, GenerateRequest& request) {
  SamplingParams& sampling = request.options.sampling;
  SetOpenDefaults(sampling);
  bool sample = false;
  ReadSampling(fields, context, request);
  fields.Bool("do_sample", &sample);
  // Whoever sets one of these wants chance, with or without do_sample.
  if (sampling.temperature != 1 || sampling.top_k != 0 || sampling.top_p != 1 ||
      sampling.typical_p != 1) {
    sample = true;
  }
  if (!sample) sampling.temperature = 0;
  if (request.best_of > 1 && !sample) {
    fields.Fail("best_of", "needs do_sample: without chance all answers are the same");
  }
}

void ReadTgiUnsupported(FieldReader& fields) {
  bool off = false;
  if (fields.Bool("watermark", &off) && off) fields.Fail("watermark", "is not supported");
  fields.Refuse("adapter_id", "is not supported: this server has one model, without adapters");
}

void ReadParameters(FieldReader& fields, ReadContext& context, TgiRequest& request,
                    size_t* truncate) {
  GenerateRequest& generate = request.generate;
  fields.Integer("max_new_tokens", 1, INT32_MAX, &generate.options.max_tokens);
  fields.Integer("best_of", 1, kMaxAnswers, &generate.best_of);
  fields.Bool("details", &request.details);
  fields.Bool("decoder_input_details", &request.prefill);
  if (request.prefill) generate.options.prompt_logprobs = 0;
  if (request.prefill && generate.stream) {
    fields.Fail("decoder_input_details", "are not streamed: leave it out, or do not stream");
  }
  request.details = request.details || request.prefill;
  fields.Bool("return_full_text", &request.return_full_text);
  fields.Integer("top_n_tokens", 0, kMaxTopTokens, &request.top_n_tokens);
  fields.Integer("truncate", 1, INT32_MAX, truncate);
  ReadTgiSampling(fields, context, generate);
  ReadStop(fields, "stop_sequences", &generate.options.stop);  // the older name
  const AnswerFormat format = ReadTgiFormat(fields, context);
  if (!fields.ok()) return;
  if (Status status = BindAnswerFormat(format, context, &generate.options); !status) {
    fields.Fail(std::move(status.error()));
  }
  ReadTgiUnsupported(fields);
}

// The dialect tells an end of the text from a stop string, and both are kStop here: the last token
// says which it was.
std::string_view TgiFinishName(const GenerationService& service, const Answer& answer,
                               FinishReason finish) {
  if (finish == FinishReason::kLength) return "length";
  const bool end = !answer.tokens.empty() && service.IsEndOfGeneration(answer.tokens.back());
  return end ? "eos_token" : "stop_sequence";
}

// Clients of text-generation-inference choose an exception by its statuses and words: 422 is a bad
// field, where the rest of this server has 400, and 424 is a failed generation.
ErrorShape ShapeOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kContextExceeded:
      return {422, "validation"};
    case ErrorKind::kOverloaded:
      return {429, "overloaded"};
    case ErrorKind::kUnavailable:
      return {503, "overloaded"};
    case ErrorKind::kDeadlineExceeded:
      return {504, "incomplete_generation"};
    default:
      return {424, "generation"};
  }
}

std::string ErrorBody(const Error& error, const char* type) {
  return Dump(Json{{"error", error.message}, {"error_type", type}});
}

class TgiWriter : public AnswerWriter {
 public:
  TgiWriter(const GenerationService& service, const TgiRequest& request)
      : service_(service), request_(request) {}

  std::string_view id_prefix() const override { return "tgi"; }
  std::string Failure(const Error& error) override {
    return FrameEvent(StreamFormat::kSse, ErrorBody(error, ShapeOf(error.kind).type));
  }

  // Its clients read a token out of each event, so that a comment has to do.
  std::string Waiting(const Generation& generation) override {
    return ": " + Dump(Json{{"prompt_progress", PromptProgressJson(generation)}}) + "\n\n";
  }
  // The last token's event has the whole text, too.
  std::string Token(const Generation& generation, size_t, const TokenEvent& token) override {
    const Answer& answer = generation.answers()[0];
    // The dialect counts tokens from 1.
    Json json{{"index", token.index + 1}, {"token", TokenJson(token.sampled, token.text)}};
    if (request_.top_n_tokens > 0) json["top_tokens"] = TopTokens(token.sampled);
    json["generated_text"] = nullptr;
    json["details"] = nullptr;
    if (token.finish != FinishReason::kNone) {
      json["generated_text"] = Text(generation, answer);
      json["details"] = {{"finish_reason", TgiFinishName(service_, answer, token.finish)},
                         {"generated_tokens", answer.tokens.size()},
                         {"seed", SeedJson(answer)},
                         {"input_length", answer.prompt_tokens}};
    }
    return FrameEvent(StreamFormat::kSse, Dump(json));
  }
  std::string End(const Generation&) override { return {}; }
  std::string Whole(const Generation& generation) override {
    const Answer* const best = generation.Chosen()[0];
    Json json{{"generated_text", Text(generation, *best)}};
    if (request_.details) {
      json["details"] = DetailsJson(generation, *best);
      // These are the answers that best_of did not choose, in the order in which they were made.
      Json others = Json::array();
      for (const Answer& answer : generation.answers()) {
        if (&answer == best) continue;
        Json other = DetailsJson(generation, answer);
        other["generated_text"] = Text(generation, answer);
        others.push_back(std::move(other));
      }
      if (!others.empty()) json["details"]["best_of_sequences"] = std::move(others);
    }
    return Dump(request_.as_list ? Json::array({std::move(json)}) : std::move(json));
  }

 private:
  std::string Text(const Generation& generation, const Answer& answer) const {
    if (!request_.return_full_text) return answer.text;
    const GenerateRequest::Prompt& prompt = generation.request().prompts[0];
    if (const auto* text = std::get_if<std::string>(&prompt)) return *text + answer.text;
    return service_.Decode(std::get<std::vector<int32_t>>(prompt)) + answer.text;
  }
  Json TokenJson(const SampledToken& token, std::string_view text) const {
    const bool special = service_.IsControl(token.token);
    return {{"id", token.token},
            {"text", special ? service_.TokenText(token.token) : text},
            {"logprob", LogprobNumber(token.logprob)},
            {"special", special}};
  }
  Json TopTokens(const SampledToken& sampled) const {
    Json json = Json::array();
    for (const TokenLogprob& top : sampled.top) {
      json.push_back(TokenJson({top.token, top.logprob, {}}, service_.TokenBytes(top.token)));
    }
    return json;
  }
  // The first token follows nothing, and has no logprob.
  Json PrefillJson(const Generation& generation, const Answer& answer) const {
    Json json = Json::array();
    if (!request_.prefill) return json;
    const std::vector<int32_t>& prompt = generation.prompts()[0];
    for (size_t i = 0; i < prompt.size(); ++i) {
      const float logprob = i == 0 ? 0 : answer.prompt_logprobs->tokens[i - 1].logprob;
      Json token = TokenJson({prompt[i], logprob, {}}, service_.TokenBytes(prompt[i]));
      token.erase("special");
      if (i == 0) token["logprob"] = nullptr;
      json.push_back(std::move(token));
    }
    return json;
  }
  Json DetailsJson(const Generation& generation, const Answer& answer) const {
    Json tokens = Json::array(), tops = tokens;
    for (const SampledToken& token : answer.logprobs) {
      tokens.push_back(TokenJson(token, service_.TokenBytes(token.token)));
      tops.push_back(TopTokens(token));
    }
    Json json{{"finish_reason", TgiFinishName(service_, answer, answer.finish)},
              {"generated_tokens", answer.tokens.size()},
              {"seed", SeedJson(answer)},
              {"prefill", PrefillJson(generation, answer)},
              {"tokens", std::move(tokens)}};
    if (request_.top_n_tokens > 0) json["top_tokens"] = std::move(tops);
    return json;
  }

  const GenerationService& service_;
  const TgiRequest request_;
};

// `stream`: whatever the body says of it.
Result<TgiRequest> ReadTgiRequest(const Json& body, bool stream, ReadContext& context) {
  TgiRequest request;
  GenerateRequest& generate = request.generate;
  generate.options.max_tokens = kDefaultNewTokens;
  FieldReader fields(body);
  std::string inputs;
  if (!fields.Text("inputs", &inputs) && fields.ok()) fields.Fail("inputs", "is missing: a string");
  if (fields.ok() && inputs.empty()) fields.Fail("inputs", "is empty");
  fields.Refuse("prompt", "and inputs are both there: send one of them");
  fields.Bool("stream", &generate.stream);
  ReadCacheSalt(fields, generate);
  ReadModel(fields, context);
  if (stream) generate.stream = true;
  size_t truncate = 0;
  if (!fields.Object("parameters", "must be an object", context.unknown(),
                     [&](FieldReader& parameters) {
                       ReadParameters(parameters, context, request, &truncate);
                     })) {
    generate.options.sampling.temperature = 0;
  }
  TRY_OK(fields.Finish(context.unknown()));
  if (generate.stream && generate.best_of > 1) {
    return Fail(ErrorKind::kInvalidArgument,
                "parameters.best_of above 1 cannot be streamed: the best is known only at the end",
                "parameters.best_of");
  }
  if (request.details || generate.stream) {  // each token with its logprob
    generate.options.sampling.logprobs = static_cast<int32_t>(request.top_n_tokens);
  }
  if (truncate > 0) TRY_OK(context.memory.Grow(inputs.size() * Tokenizer::kEncodeBytes));
  generate.prompts.push_back(TruncatedPrompt(context.service, std::move(inputs), truncate));
  return request;
}

// {"error", "error_type"}, with the status that the dialect has for it.
HttpReply TgiErrorReply(const Error& error) { return ShapedErrorReply(error, ShapeOf(error.kind)); }

template <bool kStream, bool kAsList>
Result<DialectRequest> ReadTgi(const Json& body, ReadContext& context) {
  TRY(TgiRequest request, ReadTgiRequest(body, kStream, context));
  request.as_list = kAsList;
  auto writer = std::make_unique<TgiWriter>(context.service, request);
  return DialectRequest{std::move(request.generate), std::move(writer)};
}

}  // namespace

HttpReply ShapedErrorReply(const Error& error, const ErrorShape& shape) {
  HttpReply reply = ErrorReply(error);  // its headers, and its name in the log
  reply.status = shape.status;
  reply.body = ErrorBody(error, shape.type);
  return reply;
}

bool IsTgiRequest(const Json& body) { return FindField(body, "inputs") != nullptr; }

const Dialect kTgi = {ReadTgi<false, false>, TgiErrorReply, "inputs"};
const Dialect kTgiStream = {ReadTgi<true, false>, TgiErrorReply, "inputs"};
const Dialect kTgiList = {ReadTgi<false, true>, TgiErrorReply, "inputs"};

}  // namespace lockstep
