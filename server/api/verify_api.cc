// The request goes the way of any other (generate.h) up to its generation, so that what a dialect
// makes of it is the same; only that what comes out is compared and not written.
#include "server/api/verify_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/digest.h"
#include "core/base/quoted.h"
#include "server/api/answer_difference.h"
#include "server/api/answer_json.h"
#include "server/api/dialect.h"
#include "server/api/json_reply.h"
#include "server/api/openai/responses.h"
#include "server/api/receipt.h"
#include "server/api/request_body.h"
#include "server/api/request_digest.h"
#include "server/generation/prompt_tokens.h"
#include "server/http/error_reply.h"
#include "server/http/ids.h"

namespace lockstep {
namespace {

// What is known of the answer.
struct Claim {
  std::optional<Receipt> receipt;
  std::optional<std::vector<int32_t>> tokens;
  std::optional<std::string> text;
  Json answer;  // as it came; null: it did not

  bool empty() const { return !receipt && !tokens && !text && answer.is_null(); }
};

// Takes what nothing has said yet from an object that has an answer.
Status AddTo(Claim& claim, const Json& json, size_t vocab) {
  if (const Json* const receipt = FindField(json, "receipt");
      receipt != nullptr && !claim.receipt) {
    TRY(claim.receipt, ReadReceipt(*receipt));
  }
  for (const char* name : {"tokens", "token_ids"}) {
    const Json* const tokens = FindField(json, name);
    // Some dialects have an empty list where nobody asked for tokens.
    if (tokens == nullptr || !tokens->is_array() || tokens->empty() || claim.tokens) continue;
    TRY(claim.tokens, ReadTokenIds(*tokens, vocab, name, name));
  }
  return {};
}

Result<Claim> ReadClaim(const Json& body, size_t vocab) {
  Claim claim;
  TRY_OK(AddTo(claim, body, vocab));
  if (const Json* const text = FindField(body, "text"); text != nullptr && text->is_string()) {
    claim.text = text->get<std::string>();
  }
  const Json* const answer = FindField(body, "answer");
  if (answer == nullptr) return claim;
  if (!answer->is_structured() || answer->empty()) {
    return Fail(ErrorKind::kInvalidArgument,
                "answer must be what the request was answered with, as JSON", "answer");
  }
  claim.answer = *answer;
  if (FindField(*answer, "choices") != nullptr && (*answer)["choices"].is_array()) {
    // It is made again by itself, and is the first choice then.
    const Json& choices = (*answer)["choices"];
    const Json* const index = FindField(body, "index");
    const size_t i = index != nullptr && index->is_number_unsigned() ? index->get<size_t>() : 0;
    if (i >= choices.size()) {
      return Fail(ErrorKind::kInvalidArgument, "the answer has no choice of that index", "index");
    }
    claim.answer["choices"] = Json::array({choices[i]});
    TRY_OK(AddTo(claim, choices[i], vocab));
  }
  TRY_OK(AddTo(claim, *answer, vocab));
  return claim;
}

HttpReply Answered(const Json& json, std::shared_ptr<RequestRecord> record) {
  HttpReply reply = JsonReply(json);
  reply.record = std::move(record);
  return reply;
}

Json Differs(std::string_view what, std::string message) {
  return {{"verified", false}, {"differs", what}, {"message", std::move(message)}};
}

// Null behind the last one.
Json TokenJson(const GenerationService& service, const std::vector<int32_t>& tokens, size_t i) {
  if (i >= tokens.size()) return nullptr;
  return {{"token", tokens[i]}, {"text", std::string(service.TokenBytes(tokens[i]))}};
}

Json TokenDiffers(const GenerationService& service, const std::vector<int32_t>& expected,
                  const std::vector<int32_t>& got, size_t i) {
  const auto name = [&](const std::vector<int32_t>& tokens) {
    return i < tokens.size()
               ? fmt::format("{} ({})", tokens[i], Quoted(service.TokenBytes(tokens[i])))
               : std::string("the end");
  };
  Json json = Differs("answer", fmt::format("token {} is {}, and the model gives {}", i, name(got),
                                            name(expected)));
  json["index"] = i;
  json["expected"] = TokenJson(service, expected, i);
  json["got"] = TokenJson(service, got, i);
  return json;
}

// Leaves the one prompt whose answer it was. False where there is none.
bool ChoosePrompt(const GenerationService& service, const Claim& claim, GenerateRequest& request) {
  request.n = request.best_of = 1;
  request.stream = false;
  if (!claim.receipt) {
    request.prompts.resize(1);
    return true;
  }
  request.again = AnswerOrigin{NewIdBytes(), 0, claim.receipt->seed};
  request.has_seed = false;
  for (GenerateRequest::Prompt& prompt : request.prompts) {
    if (HexDigest(PromptTokens(service, request, prompt)) != claim.receipt->prompt) continue;
    request.prompts = {GenerateRequest::Prompt(std::move(prompt))};
    return true;
  }
  return false;
}

// Where the texts part, `given` being a part of the answer that should read `made`.
Json TextDiffers(const GenerationService& service, const Answer& answer, std::string_view where,
                 const std::string& given, const std::string& made) {
  const auto same = static_cast<size_t>(std::ranges::mismatch(given, made).in1 - given.begin());
  Json json = Differs(
      "answer", fmt::format("{} differs from byte {} on: {}, and the model gives {}", where, same,
                            Quoted(given.substr(same), 40), Quoted(made.substr(same), 40)));
  // Calls of tools, for example, are not told as the model writes them.
  const size_t begin = made.empty() ? std::string::npos : answer.text.find(made);
  if (begin == std::string::npos) return json;
  const auto end = std::ranges::upper_bound(answer.text_ends, begin + same);
  const auto index = static_cast<size_t>(end - answer.text_ends.begin());
  json["index"] = index;
  json["expected"] = TokenJson(service, answer.tokens, index);
  return json;
}

Json Compare(const GenerationService& service, const Claim& claim, const Generation& generation,
             AnswerWriter& writer) {
  const Answer& answer = generation.answers()[0];
  if (claim.tokens && claim.tokens->size() != answer.tokens.size()) {
    return TokenDiffers(service, answer.tokens, *claim.tokens,
                        std::min(claim.tokens->size(), answer.tokens.size()));
  }
  if (claim.text && *claim.text != answer.text) {
    return TextDiffers(service, answer, "text", *claim.text, answer.text);
  }
  std::vector<std::string> unchecked;
  if (!claim.answer.is_null()) {
    const Json made = Json::parse(writer.Whole(generation), nullptr, false);
    AnswerComparison compared = CompareAnswers(claim.answer, made);
    if (const auto& differs = compared.difference) {
      return TextDiffers(service, answer, differs->where, differs->given, differs->made);
    }
    // Tokens, and the whole text, have the thoughts in them.
    if (!claim.tokens && !claim.text) unchecked = std::move(compared.left_out);
  }
  if (claim.receipt && claim.receipt->answer != HexDigest(answer.tokens)) {
    const bool known = claim.tokens || claim.text || !claim.answer.is_null();
    return Differs("receipt",
                   known ? "the answer is the model's, but the receipt is of another one"
                         : "the receipt is of an answer that the model does not give; send "
                           "the answer's tokens or text to learn where it differs");
  }
  Json json{{"verified", true},
            {"tokens", answer.tokens.size()},
            {"seed", SeedJson(answer)},
            {"system_fingerprint", service.model().fingerprint}};
  if (!unchecked.empty()) json["unchecked"] = std::move(unchecked);
  return json;
}

// Makes the answer until it differs.
HttpReply Make(RouteCall& call, DialectRequest read, const Claim& claim) {
  auto record = std::make_shared<RequestRecord>();
  if (claim.tokens) {
    read.generate.prediction.clear();
    read.generate.options.prediction = std::make_shared<const std::vector<int32_t>>(*claim.tokens);
  } else if (claim.text) {
    read.generate.prediction = *claim.text;
  }
  auto started = Generation::Start(*call.service, std::move(read.generate), std::move(call.caller),
                                   read.writer->id_prefix(), record, std::move(read.memory));
  if (!started) return ErrorReply(started.error());
  Generation& generation = **started;
  const std::vector<int32_t>& tokens = generation.answers()[0].tokens;
  while (true) {
    const Generation::Item item = generation.Next();
    if (const Error* const error = std::get_if<Error>(&item)) return ErrorReply(*error);
    if (std::holds_alternative<Generation::End>(item)) break;
    if (!std::holds_alternative<Generation::Token>(item) || !claim.tokens) continue;
    const size_t i = tokens.size() - 1;
    if (i >= claim.tokens->size() || tokens[i] != (*claim.tokens)[i]) {
      return Answered(TokenDiffers(*call.service, tokens, *claim.tokens, i), record);
    }
  }
  return Answered(Compare(*call.service, claim, generation, *read.writer), record);
}

Error BadField(std::string_view field, std::string message) {
  return {ErrorKind::kInvalidArgument, std::move(message), std::string(field)};
}

}  // namespace

HttpReply VerifyBy(DialectFinder find, RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return body.error();
  const Json* const route = FindField(body->json, "route");
  const Json* const request = FindField(body->json, "request");
  if (route == nullptr || !route->is_string() || request == nullptr || !request->is_object()) {
    return ErrorReply(BadField(route == nullptr ? "route" : "request",
                               "route and request must be there: the path that the request was "
                               "sent to, such as \"/v1/chat/completions\", and its body"));
  }
  const auto path = route->get<std::string>();
  const Dialect* const dialect = find(path, *request);
  if (dialect == nullptr) {
    return ErrorReply(BadField("route", Quoted(path) + " is no route that generates"));
  }
  const ServedModel& model = call.service->model();
  auto claim = ReadClaim(body->json, model.vocab);
  if (!claim) return ErrorReply(claim.error());
  if (claim->empty()) {
    return ErrorReply(BadField("answer",
                               "there is nothing to verify: send the answer as it came, or its "
                               "receipt, tokens or text"));
  }
  const auto done = [](const Json& json) {
    return Answered(json, std::make_shared<RequestRecord>());
  };
  if (claim->receipt && claim->receipt->fingerprint != model.fingerprint) {
    return done(
        Differs("model", fmt::format("the answer is of {}, and this is {}",
                                     Quoted(claim->receipt->fingerprint), model.fingerprint)));
  }
  const std::string digest = RequestDigest(path, *request);
  if (claim->receipt && claim->receipt->request != Hex(digest)) {
    return done(Differs("request", "the receipt is of another request, or of another route"));
  }
  ReadContext context = ContextOf(call, dialect->strict, std::move(body->memory));
  Json asked = *request;
  if (dialect == &kOpenAiResponses) asked["store"] = false;  // what is made again is no one's
  auto read = dialect->read(asked, context);
  if (!read) return ErrorReply(read.error());
  if (read->reply) return ErrorReply(BadField("request", "the request asks for no answer"));
  if (model.encodes) return ErrorReply(GeneratesNothing(model));
  read->generate.grammar_work = context.compile_for.work;
  read->generate.digest = digest;
  read->memory = std::move(context.memory);
  if (!claim->receipt && !read->generate.has_seed &&
      read->generate.options.sampling.temperature > 0) {
    return ErrorReply(
        BadField("receipt",
                 "receipt is missing, and the request has no seed: nothing says which "
                 "of its answers it was"));
  }
  if (!ChoosePrompt(*call.service, *claim, read->generate)) {
    return done(Differs("prompt",
                        "the request becomes another prompt here: its chat template shows the "
                        "date, or the server that answered had other flags"));
  }
  return Make(call, *std::move(read), *claim);
}

}  // namespace lockstep
