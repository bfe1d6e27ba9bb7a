#include "server/api/generate_routes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "core/base/quoted.h"
#include "server/api/native_api.h"
#include "server/api/openai/chat.h"
#include "server/api/openai/completions.h"
#include "server/api/respond.h"
#include "server/api/tgi_api.h"
#include "server/api/tokenize_api.h"
#include "server/generation/chat_prompt.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

// Empty if the body may be read as JSON; else what to send instead.
std::string ContentTypeProblem(std::string_view content_type) {
  const size_t semicolon = std::min(content_type.find(';'), content_type.size());
  const std::string_view type = TrimSpaces(content_type.substr(0, semicolon));
  if (type.empty()) return "the request has no Content-Type: send application/json";
  if (EqualsNoCase(type, "application/x-www-form-urlencoded")) {
    return "the body is marked as a form, as curl -d does by itself: "
           "add -H 'Content-Type: application/json'";
  }
  if (!EqualsNoCase(type, "application/json")) {
    return fmt::format("the Content-Type is {}: send application/json", Quoted(type));
  }
  std::string_view parameter = TrimSpaces(content_type.substr(semicolon));
  while (!parameter.empty() && (parameter[0] == ';' || parameter[0] == ' ')) {
    parameter.remove_prefix(1);
  }
  if (parameter.size() >= 8 && EqualsNoCase(parameter.substr(0, 8), "charset=")) {
    std::string_view charset = parameter.substr(8);
    if (charset.size() >= 2 && charset.front() == '"')
      charset = charset.substr(1, charset.size() - 2);
    if (!EqualsNoCase(charset, "utf-8")) return "the charset must be utf-8";
  }
  return {};
}

// X-Request-Timeout-Ms, where it is there and less than what the server allows.
Status LowerTimeout(const HttpHeaders& headers, Deadlines& deadlines) {
  const std::string_view text = TrimSpaces(FindHeader(headers, "X-Request-Timeout-Ms"));
  if (text.empty()) return {};
  int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc() || end != text.data() + text.size() || ms < 1) {
    return Fail(ErrorKind::kInvalidArgument,
                "the header X-Request-Timeout-Ms must be a positive number of milliseconds",
                "X-Request-Timeout-Ms");
  }
  deadlines.total = std::min(deadlines.total, std::chrono::milliseconds(ms));
  return {};
}

// What every such route begins with: the body as JSON, and the caller's own deadlines. Else the
// reply that says why not.
tl::expected<Json, HttpReply> ReadBody(const HttpRequest& request, Caller& caller) {
  if (std::string problem = ContentTypeProblem(FindHeader(request.headers, "Content-Type"));
      !problem.empty()) {
    return tl::unexpected(ErrorReply(415, problem));
  }
  if (Status status = LowerTimeout(request.headers, caller.deadlines); !status) {
    return tl::unexpected(ErrorReply(status.error()));
  }
  auto json = ParseStrictObject(request.body);
  if (!json) return tl::unexpected(ErrorReply(json.error()));
  return *std::move(json);
}

HttpReply NameIgnored(HttpReply reply, const std::vector<std::string>& ignored) {
  if (ignored.empty()) return reply;
  std::vector<std::string> names;
  for (const std::string& name : ignored) names.push_back(Escaped(name));  // they become a header
  reply.headers.emplace_back("x-ignored-params", fmt::format("{}", fmt::join(names, ", ")));
  return reply;
}

HttpReply RunTgi(GenerationService& service, const GenerateSettings& settings, const Json& body,
                 Caller caller, bool stream, bool as_list) {
  ReadContext context{service, settings.model_aliases, settings.lenient, {}};
  auto read = ReadTgiRequest(body, stream, context);
  if (!read) return TgiErrorReply(read.error());
  read->as_list = as_list;
  return NameIgnored(Respond(service, read->generate, std::move(caller),
                             MakeTgiWriter(service, *read), settings.keep_alive),
                     context.ignored);
}

// A route that generates nothing: `answer` makes the reply's text of the body.
template <class Answer>
HttpReply AnswerAtOnce(GenerationService& service, const GenerateSettings& settings,
                       const HttpRequest& request, Caller& caller, const Answer& answer) {
  const auto body = ReadBody(request, caller);
  if (!body) return body.error();
  ReadContext context{service, settings.model_aliases, settings.lenient, {}};
  Result<std::string> text = answer(*body, context);
  if (!text) return ErrorReply(text.error());
  HttpReply reply;
  reply.body = *std::move(text);
  return NameIgnored(std::move(reply), context.ignored);
}

}  // namespace

HttpReply NativeOrTgiRoute(GenerationService& service, const GenerateSettings& settings,
                           const HttpRequest& request, Caller caller) {
  const auto body = ReadBody(request, caller);
  if (!body) return body.error();
  if (IsTgiRequest(*body)) return RunTgi(service, settings, *body, std::move(caller), false, false);
  ReadContext context{service, settings.model_aliases, settings.lenient, {}};
  auto read = ReadNativeRequest(*body, context);
  if (!read) return ErrorReply(read.error());
  auto writer =
      MakeNativeWriter(service, ChooseStreamFormat(FindHeader(request.headers, "Accept")));
  return NameIgnored(
      Respond(service, *std::move(read), std::move(caller), std::move(writer), settings.keep_alive),
      context.ignored);
}

HttpReply TgiStreamRoute(GenerationService& service, const GenerateSettings& settings,
                         const HttpRequest& request, Caller caller) {
  const auto body = ReadBody(request, caller);
  if (!body) return body.error();
  return RunTgi(service, settings, *body, std::move(caller), /*stream=*/true, false);
}

HttpReply TgiRootRoute(GenerationService& service, const GenerateSettings& settings,
                       const HttpRequest& request, Caller caller) {
  const auto body = ReadBody(request, caller);
  if (!body) return body.error();
  return RunTgi(service, settings, *body, std::move(caller), false, /*as_list=*/true);
}

HttpReply CompletionsRoute(GenerationService& service, const GenerateSettings& settings,
                           const HttpRequest& request, Caller caller) {
  const auto body = ReadBody(request, caller);
  if (!body) return body.error();
  ReadContext context{service, settings.model_aliases, settings.lenient, {}};
  auto read = ReadCompletionsRequest(*body, context);
  if (!read) return ErrorReply(read.error());
  return NameIgnored(Respond(service, read->generate, std::move(caller),
                             MakeCompletionsWriter(service, *read), settings.keep_alive),
                     context.ignored);
}

HttpReply ChatRoute(GenerationService& service, const GenerateSettings& settings,
                    const HttpRequest& request, Caller caller) {
  const auto body = ReadBody(request, caller);
  if (!body) return body.error();
  ReadContext context{service, settings.model_aliases, settings.lenient, {}};
  auto read = ReadChatRequest(*body, context);
  if (!read) return ErrorReply(read.error());
  const auto parts = RenderChat(service.chat(), read->variables);
  if (!parts) return ErrorReply(parts.error());
  read->generate.prompts = {service.EncodeChat(*parts)};
  return NameIgnored(Respond(service, read->generate, std::move(caller),
                             MakeChatWriter(service, *read), settings.keep_alive),
                     context.ignored);
}

HttpReply ApplyTemplateRoute(GenerationService& service, const GenerateSettings& settings,
                             const HttpRequest& request, Caller caller) {
  const auto answer = [&service](const Json& body, ReadContext& context) -> Result<std::string> {
    const auto variables = ReadApplyTemplateRequest(body, context);
    if (!variables) return tl::unexpected(variables.error());
    const auto parts = RenderChat(service.chat(), *variables);
    if (!parts) return tl::unexpected(parts.error());
    return Dump(Json{{"prompt", TextOf(*parts)}});
  };
  return AnswerAtOnce(service, settings, request, caller, answer);
}

HttpReply TokenizeRoute(GenerationService& service, const GenerateSettings& settings,
                        const HttpRequest& request, Caller caller) {
  return AnswerAtOnce(service, settings, request, caller, AnswerTokenize);
}

HttpReply DetokenizeRoute(GenerationService& service, const GenerateSettings& settings,
                          const HttpRequest& request, Caller caller) {
  return AnswerAtOnce(service, settings, request, caller, AnswerDetokenize);
}

}  // namespace lockstep
