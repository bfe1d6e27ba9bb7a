#include "server/api_handlers.h"

#include <fmt/format.h>
#include <strings.h>

#include <string>
#include <utility>

#include "core/text.h"
#include "server/api_codec.h"
#include "server/api_errors.h"
#include "server/generation.h"
#include "server/sse.h"

namespace lockstep {
namespace {

using Event = Generation::Event;

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool EqualsNoCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Empty if the body may be read as JSON; else what to send instead.
std::string ContentTypeProblem(std::string_view content_type) {
  const size_t semicolon = std::min(content_type.find(';'), content_type.size());
  const std::string_view type = Trim(content_type.substr(0, semicolon));
  if (type.empty()) return "the request has no Content-Type: send application/json";
  if (EqualsNoCase(type, "application/x-www-form-urlencoded")) {
    return "the body is marked as a form, as curl -d does by itself: "
           "add -H 'Content-Type: application/json'";
  }
  if (!EqualsNoCase(type, "application/json")) {
    return fmt::format("the Content-Type is {}: send application/json", Quoted(type));
  }
  std::string_view parameter = Trim(content_type.substr(semicolon));
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

// The part of a stream's body that an event becomes.
BodyPart ToBodyPart(const GenerationService& service, const Generation& generation, Event event,
                    StreamFormat format) {
  switch (event) {
    case Event::kToken:
      return {FrameEvent(format, RenderToken(service, generation.token(),
                                             generation.answer().wants_logprobs)),
              BodyPart::Then::kMore};
    case Event::kDone:
      return {FrameEvent(format, RenderAnswer(service, generation.answer(), /*done=*/true)),
              BodyPart::Then::kLast};
    case Event::kFailed:
      break;
  }
  return {FrameEvent(format, RenderError(generation.error())), BodyPart::Then::kClose};
}

// REQUIRES: `first` came from generation->Next() and is not kFailed.
HttpReply StreamReply(const GenerationService& service, std::shared_ptr<Generation> generation,
                      Event first, StreamFormat format) {
  HttpReply reply;
  reply.content_type = ContentType(format);
  reply.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  reply.next = [&service, generation = std::move(generation), format, event = first,
                started = false]() mutable {
    if (started) event = generation->Next();
    started = true;
    return ToBodyPart(service, *generation, event, format);
  };
  return reply;
}

}  // namespace

struct ApiHandlers::Route {
  std::string_view path;
  std::string_view method;
  HttpReply (ApiHandlers::*handler)(const HttpRequest&) const;
  bool needs_model;
};

const ApiHandlers::Route ApiHandlers::kRoutes[] = {
    {"/generate", "POST", &ApiHandlers::Generate, true},
    {"/livez", "GET", &ApiHandlers::Live, false},
    {"/readyz", "GET", &ApiHandlers::Ready, false},
    {"/health", "GET", &ApiHandlers::Ready, false},
    {"/v1/models", "GET", &ApiHandlers::Models, true},
};

HttpReply ApiHandlers::Handle(const HttpRequest& request) const {
  for (const Route& route : kRoutes) {
    if (request.path != route.path) continue;
    const bool get = route.method == "GET";
    if (request.method == route.method || (get && request.method == "HEAD")) {
      if (route.needs_model && service_ == nullptr) {
        return ErrorReply({ErrorKind::kUnavailable,
                           fmt::format("the model is loading, {}%", loaded_percent()),
                           {}});
      }
      return (this->*route.handler)(request);
    }
    HttpReply reply = ErrorReply(405, fmt::format("{} takes {} only", route.path, route.method));
    reply.headers.emplace_back("Allow", get ? "GET, HEAD" : "POST");
    return reply;
  }
  return ErrorReply(404, fmt::format("there is no {}; to generate text, POST to /generate",
                                     Quoted(request.path)));
}

HttpReply ApiHandlers::Generate(const HttpRequest& request) const {
  if (std::string problem = ContentTypeProblem(FindHeader(request.headers, "Content-Type"));
      !problem.empty()) {
    return ErrorReply(415, problem);
  }
  GenerationService& service = *service_;
  auto parsed = ParseGenerateRequest(request.body, service.model().vocab);
  if (!parsed) return ErrorReply(parsed.error());
  const bool stream = parsed->stream;

  auto record = std::make_shared<RequestRecord>();
  const auto with_record = [&record](HttpReply reply) {
    if (record->outcome.empty()) record->outcome = reply.record->outcome;
    reply.record = record;
    return reply;
  };
  auto started = Generation::Start(service, std::move(*parsed), request.client_gone, record);
  if (!started) return with_record(ErrorReply(started.error()));
  Generation& generation = **started;

  // A stream's status is not sent before its first token: until then an error can be one.
  Event event = generation.Next();
  while (!stream && event == Event::kToken) event = generation.Next();
  if (event == Event::kFailed) return with_record(ErrorReply(generation.error()));
  if (stream) {
    const StreamFormat format = ChooseStreamFormat(FindHeader(request.headers, "Accept"));
    return with_record(StreamReply(service, std::move(*started), event, format));
  }
  HttpReply reply;
  reply.body = RenderAnswer(service, generation.answer(), /*done=*/false);
  return with_record(std::move(reply));
}

HttpReply ApiHandlers::Live(const HttpRequest&) const {
  HttpReply reply;
  reply.body = R"({"status":"ok"})";
  return reply;
}

HttpReply ApiHandlers::Ready(const HttpRequest&) const {
  const GenerationService* service = service_;
  const SchedulerState state = service != nullptr ? service->state() : SchedulerState{};
  HttpReply reply;
  reply.body = service == nullptr ? RenderLoading(loaded_percent())
                                  : RenderState(state.draining ? "draining" : "ok", state);
  if (service == nullptr || state.draining) {
    reply.status = 503;
    reply.headers.emplace_back("Retry-After", "5");
  }
  return reply;
}

HttpReply ApiHandlers::Models(const HttpRequest&) const {
  HttpReply reply;
  reply.body = RenderModels(service_.load()->model());
  return reply;
}

}  // namespace lockstep
