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
#include "server/api/answer_claim.h"
#include "server/api/answer_difference.h"
#include "server/api/answer_json.h"
#include "server/api/dialect.h"
#include "server/api/json_reply.h"
#include "server/api/openai/responses.h"
#include "server/api/request_body.h"
#include "server/api/request_digest.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

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

// How a claimed answer parts from the one that is made. `choice`: where there are several.
Json TokenDiffers(const GenerationService& service, const std::vector<int32_t>& expected,
                  const std::vector<int32_t>& got, size_t i, std::optional<size_t> choice) {
  const auto name = [&](const std::vector<int32_t>& tokens) {
    return i < tokens.size()
               ? fmt::format("{} ({})", tokens[i], Quoted(service.TokenBytes(tokens[i])))
               : std::string("the end");
  };
  const std::string of = choice ? fmt::format(" of choice {}", *choice) : std::string();
  Json json = Differs("answer", fmt::format("token {}{} is {}, and the model gives {}", i, of,
                                            name(got), name(expected)));
  if (choice) json["choice"] = *choice;
  json["index"] = i;
  json["expected"] = TokenJson(service, expected, i);
  json["got"] = TokenJson(service, got, i);
  return json;
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

// A claim, against which its choices are compared as they are made.
class Verification {
 public:
  Verification(const GenerationService& service, const Claim& claim)
      : service_(service), claim_(claim) {}

  // What differs already, once a token of a choice that is made by itself has come.
  std::optional<Json> AtToken(const std::vector<int32_t>& tokens, size_t choice) const {
    if (!claim_.choices[choice].tokens) return std::nullopt;
    const std::vector<int32_t>& claimed = *claim_.choices[choice].tokens;
    const size_t i = tokens.size() - 1;
    if (i < claimed.size() && tokens[i] == claimed[i]) return std::nullopt;
    return TokenDiffers(service_, tokens, claimed, i, Name(choice));
  }

  // What differs of a choice that was made by itself.
  std::optional<Json> AtEnd(const Generation& generation, AnswerWriter& writer, size_t choice) {
    const Answer& made = *generation.Chosen()[0];
    if (auto differs = CompareTokens(made, choice)) return differs;
    if (!claim_.answer.is_null()) {
      const Json body = Json::parse(writer.Whole(generation), nullptr, false);
      if (auto differs = CompareBodies(WithOneChoice(claim_, choice), body, made, choice)) {
        return differs;
      }
    }
    return CompareReceipt(made, choice);
  }
  // The same of all that was chosen among more.
  std::optional<Json> AtWholeEnd(const Generation& generation, AnswerWriter& writer) {
    const std::vector<const Answer*> chosen = generation.Chosen();
    Json body = Json::parse(writer.Whole(generation), nullptr, false);
    const bool listed = !claim_.list.empty() && body.contains(claim_.list);
    const Json all = listed ? body[claim_.list] : Json();
    for (size_t i = 0; i < claim_.choices.size(); ++i) {
      const size_t place = claim_.choices[i].place;
      if (listed) body[claim_.list] = Json::array({all[place]});
      if (auto differs = CompareTokens(*chosen[place], i)) return differs;
      if (!claim_.answer.is_null()) {
        const Json given = WithOneChoice(claim_, i);
        if (auto differs = CompareBodies(given, body, *chosen[place], i)) return differs;
      }
      if (auto differs = CompareReceipt(*chosen[place], i)) return differs;
    }
    return std::nullopt;
  }

  // Once nothing has differed.
  Json Verified() const {
    std::vector<std::string> unchecked = claim_.left_out;
    unchecked.insert(unchecked.end(), left_out_.begin(), left_out_.end());
    Json json{{"verified", true},
              {"tokens", tokens_},
              {"seed", seed_},
              {"system_fingerprint", service_.model().fingerprint}};
    if (!unchecked.empty()) json["unchecked"] = std::move(unchecked);
    return json;
  }

 private:
  std::optional<size_t> Name(size_t choice) const {
    if (claim_.choices.size() == 1) return std::nullopt;
    return choice;
  }
  // As the answer has it that came, where a choice is the only one of what is made.
  std::string PlaceOf(const std::string& where, size_t choice) const {
    const std::string first = claim_.list + "[0]";
    if (claim_.choices.size() == 1 || !where.starts_with(first)) return where;
    return fmt::format("{}[{}]{}", claim_.list, choice, where.substr(first.size()));
  }

  std::optional<Json> CompareTokens(const Answer& made, size_t choice) {
    tokens_ += made.tokens.size();
    if (choice == 0) seed_ = SeedJson(made);
    if (const auto& claimed = claim_.choices[choice].tokens; claimed && *claimed != made.tokens) {
      const auto parts = std::ranges::mismatch(*claimed, made.tokens).in1;
      return TokenDiffers(service_, made.tokens, *claimed,
                          static_cast<size_t>(parts - claimed->begin()), Name(choice));
    }
    if (choice == 0 && claim_.text && *claim_.text != made.text) {
      return TextDiffers(service_, made, "text", *claim_.text, made.text);
    }
    return std::nullopt;
  }

  std::optional<Json> CompareBodies(const Json& given, const Json& made, const Answer& answer,
                                    size_t choice) {
    AnswerComparison compared = CompareAnswers(given, made);
    if (const auto& differs = compared.difference) {
      const std::string where = PlaceOf(differs->where, choice);
      Json json;
      if (differs->number) {
        const auto named = [](const std::string& text) { return text.empty() ? "none" : text; };
        json = Differs("answer", fmt::format("{} is {}, and the model gives {}", where,
                                             named(differs->given), named(differs->made)));
      } else {
        json = TextDiffers(service_, answer, where, differs->given, differs->made);
      }
      if (Name(choice)) json["choice"] = choice;
      return json;
    }
    // Tokens, and the whole text, have the thoughts in them.
    if (claim_.choices[choice].tokens || (choice == 0 && claim_.text)) return std::nullopt;
    for (const std::string& where : compared.left_out) {
      left_out_.push_back(PlaceOf(where, choice));
    }
    return std::nullopt;
  }

  std::optional<Json> CompareReceipt(const Answer& made, size_t choice) const {
    const auto& receipt = claim_.choices[choice].receipt;
    if (!receipt || receipt->answer == HexDigest(made.tokens)) return std::nullopt;
    const bool known = claim_.choices[choice].tokens || claim_.text || !claim_.answer.is_null();
    return Differs("receipt",
                   known ? "the answer is the model's, but the receipt is of another one"
                         : "the receipt is of an answer that the model does not give; send "
                           "the answer's tokens or text to learn where it differs");
  }

  const GenerationService& service_;
  const Claim& claim_;
  size_t tokens_ = 0;
  Json seed_;
  std::vector<std::string> left_out_;
};

// What makes one choice by itself.
GenerateRequest RequestOf(const GenerateRequest& all, const Claim& claim, size_t choice) {
  const ClaimedChoice& claimed = claim.choices[choice];
  GenerateRequest request = all;
  request.prompts = {all.prompts[claimed.prompt]};
  request.n = request.best_of = 1;
  request.options.sampling.seed = claimed.seed;
  request.has_seed = true;
  if (claimed.tokens) {
    request.prediction.clear();
    request.options.prediction = std::make_shared<const std::vector<int32_t>>(*claimed.tokens);
  } else if (choice == 0 && claim.text) {
    request.prediction = *claim.text;
  }
  return request;
}

// Makes the answer until it differs: its choices one by one, or all that they were chosen from.
HttpReply Make(RouteCall& call, DialectRequest read, const Claim& claim, bool whole) {
  auto record = std::make_shared<RequestRecord>();
  Verification verification(*call.service, claim);
  const size_t held = read.memory.bytes() + call.request.body.size();
  read.generate.has_seed = true;
  for (size_t choice = 0; choice < (whole ? 1 : claim.choices.size()); ++choice) {
    GenerateRequest request = whole ? read.generate : RequestOf(read.generate, claim, choice);
    record = std::make_shared<RequestRecord>();
    auto started =
        Generation::Start(*call.service, std::move(request), call.caller, read.writer->id_prefix(),
                          record, MemoryBudget::Share(read.memory.budget(), held));
    if (!started) return ErrorReply(started.error());
    Generation& generation = **started;
    while (true) {
      const Generation::Item item = generation.Next();
      if (const Error* const error = std::get_if<Error>(&item)) return ErrorReply(*error);
      if (std::holds_alternative<Generation::End>(item)) break;
      if (whole || !std::holds_alternative<Generation::Token>(item)) continue;
      if (auto differs = verification.AtToken(generation.answers()[0].tokens, choice)) {
        return Answered(*differs, record);
      }
    }
    auto differs = whole ? verification.AtWholeEnd(generation, *read.writer)
                         : verification.AtEnd(generation, *read.writer, choice);
    if (differs) return Answered(*differs, record);
  }
  return Answered(verification.Verified(), record);
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
  const std::string digest = RequestDigest(path, *request);
  for (const ClaimedChoice& choice : claim->choices) {
    if (!choice.receipt) continue;
    if (choice.receipt->fingerprint != model.fingerprint) {
      return done(
          Differs("model", fmt::format("the answer is of {}, and this is {}",
                                       Quoted(choice.receipt->fingerprint), model.fingerprint)));
    }
    if (choice.receipt->request != Hex(digest)) {
      return done(Differs("request", "the receipt is of another request, or of another route"));
    }
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
  if (!claim->HasReceipt() && !read->generate.has_seed &&
      read->generate.options.sampling.temperature > 0) {
    return ErrorReply(
        BadField("receipt",
                 "receipt is missing, and the request has no seed: nothing says which "
                 "of its answers it was"));
  }
  bool whole = false;
  if (auto differs = ChooseAnswers(*call.service, *claim, read->generate, &whole)) {
    return done(Differs(differs->what, std::move(differs->message)));
  }
  return Make(call, *std::move(read), *claim, whole);
}

}  // namespace lockstep
