#include "server/api_handlers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/api_codec.h"
#include "server/api_errors.h"
#include "server/generation.h"
#include "server/page.h"
#include "server/sse.h"
#include "server/trace_context.h"

namespace lockstep {
namespace {

using Event = Generation::Event;

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

std::string ServerTiming(const GenerationStats& stats) {
  return fmt::format("queue;dur={:.3f}, prefill;dur={:.3f}, decode;dur={:.3f}",
                     stats.queue_s * 1000, stats.prefill_s * 1000, stats.decode_s * 1000);
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
  HttpReply (ApiHandlers::*handler)(const HttpRequest&, Caller) const;
  bool needs_model;
  bool control;  // for those who run the server: open without a key, and never waits
};

const ApiHandlers::Route ApiHandlers::kRoutes[] = {
    {"/generate", "POST", &ApiHandlers::Generate, true, false},
    {"/v1/models", "GET", &ApiHandlers::Models, true, false},
    {"/livez", "GET", &ApiHandlers::Live, false, true},
    {"/readyz", "GET", &ApiHandlers::Ready, false, true},
    {"/health", "GET", &ApiHandlers::Ready, false, true},
    {"/ping", "GET", &ApiHandlers::Ready, false, true},
    {"/metrics", "GET", &ApiHandlers::RenderMetrics, false, true},
};

const ApiHandlers::Route* ApiHandlers::FindRoute(const HttpRequest& request) const {
  for (const Route& route : kRoutes) {
    if (request.path != route.path) continue;
    const bool hidden =
        route.handler == &ApiHandlers::RenderMetrics && settings_.metrics == nullptr;
    return hidden ? nullptr : &route;
  }
  return nullptr;
}

HttpReply ApiHandlers::Handle(const HttpRequest& request) const {
  const Route* route = FindRoute(request);
  HttpReply reply = Answer(request, route);
  settings_.cors.AddHeaders(request, reply);
  if (route != nullptr) {
    reply.record->route = route->path;
    reply.record->control = route->control;
  }
  if (const auto trace = ContinueTrace(FindHeader(request.headers, "traceparent"))) {
    reply.headers.emplace_back("traceparent", trace->header());
    reply.record->trace_id = trace->trace_id;
    reply.record->span_id = trace->span_id;
  }
  return reply;
}

HttpReply ApiHandlers::Refuse(const HttpRequest& request, int status,
                              std::string_view message) const {
  HttpReply reply = ErrorReply(status, message);
  settings_.cors.AddHeaders(request, reply);
  return reply;
}

HttpReply ApiHandlers::Answer(const HttpRequest& request, const Route* route) const {
  // A browser asks without a key whether it may send one.
  if (auto preflight = settings_.cors.Preflight(request)) return *std::move(preflight);
  if (auto page = Page::Embedded().Answer(request)) return *std::move(page);  // asks for the key
  std::optional<Caller> caller = Identify(request);
  if (!caller && (route == nullptr || !route->control)) {
    return ErrorReply(401, "no valid API key: send Authorization: Bearer KEY");
  }
  if (route == nullptr) {
    return ErrorReply(404, fmt::format("there is no {}; to generate text, POST to /generate",
                                       Quoted(request.path)));
  }
  const bool get = route->method == "GET";
  if (request.method != route->method && !(get && request.method == "HEAD")) {
    HttpReply reply = ErrorReply(405, fmt::format("{} takes {} only", route->path, route->method));
    reply.headers.emplace_back("Allow", get ? "GET, HEAD" : "POST");
    return reply;
  }
  if (route->needs_model && service_ == nullptr) {
    return ErrorReply(
        {ErrorKind::kUnavailable, fmt::format("the model is loading, {}%", loaded_percent()), {}});
  }
  return (this->*route->handler)(request, caller.value_or(Caller{}));
}

std::optional<Caller> ApiHandlers::Identify(const HttpRequest& request) const {
  Caller caller;
  caller.gone = request.client_gone;
  caller.deadlines = settings_.deadlines;
  if (settings_.keys.empty()) {
    caller.client = request.peer;
    return caller;
  }
  constexpr std::string_view kBearer = "Bearer ";
  std::string_view key = FindHeader(request.headers, "Authorization");
  if (EqualsNoCase(key.substr(0, kBearer.size()), kBearer)) {
    key = TrimSpaces(key.substr(kBearer.size()));
  } else {
    key = TrimSpaces(FindHeader(request.headers, "X-Api-Key"));
  }
  const auto name = settings_.keys.NameOf(key);
  if (!name) return std::nullopt;
  caller.client = caller.prefix_scope = *name;
  return caller;
}

HttpReply ApiHandlers::Generate(const HttpRequest& request, Caller caller) const {
  if (std::string problem = ContentTypeProblem(FindHeader(request.headers, "Content-Type"));
      !problem.empty()) {
    return ErrorReply(415, problem);
  }
  if (Status status = LowerTimeout(request.headers, caller.deadlines); !status) {
    return ErrorReply(status.error());
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
  auto started = Generation::Start(service, std::move(*parsed), std::move(caller), record);
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
  reply.headers = {{"Server-Timing", ServerTiming(generation.answer().stats)}};
  reply.body = RenderAnswer(service, generation.answer(), /*done=*/false);
  return with_record(std::move(reply));
}

HttpReply ApiHandlers::Live(const HttpRequest&, Caller) const {
  HttpReply reply;
  reply.body = R"({"status":"ok"})";
  return reply;
}

// Says nothing of load: a busy server that were taken out would leave the others busier.
HttpReply ApiHandlers::Ready(const HttpRequest&, Caller) const {
  const GenerationService* service = service_;
  const SchedulerState state = service != nullptr ? service->state() : SchedulerState{};
  const char* status = state.draining ? "draining" : state.stalled ? "stalled" : "ok";
  HttpReply reply;
  reply.body = service == nullptr ? RenderLoading(loaded_percent()) : RenderState(status, state);
  if (service == nullptr || state.draining || state.stalled) {
    reply.status = 503;
    AddRetryAfter(reply, 0);
  }
  return reply;
}

HttpReply ApiHandlers::Models(const HttpRequest&, Caller) const {
  HttpReply reply;
  reply.body = RenderModels(service_.load()->model());
  return reply;
}

HttpReply ApiHandlers::RenderMetrics(const HttpRequest&, Caller) const {
  HttpReply reply;
  reply.content_type = Metrics::kContentType;
  reply.body = settings_.metrics->Render(service_, loaded_percent());
  return reply;
}

}  // namespace lockstep
