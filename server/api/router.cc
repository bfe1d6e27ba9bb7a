#include "server/api/router.h"

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <utility>

#include "core/base/quoted.h"
#include "server/api/embedded_files.h"
#include "server/api/server_info.h"
#include "server/http/error_reply.h"
#include "server/http/trace_context.h"
#include "server/page/page.h"

namespace lockstep {
struct ApiHandlers::Route {
  std::string_view path;  // one that ends in /, and is not /, stands for what follows, too
  std::string_view method;
  HttpReply (ApiHandlers::*handler)(const HttpRequest&, Caller) const;
  bool needs_model;
  bool control;  // for those who run the server: open without a key, and never waits
};

const ApiHandlers::Route ApiHandlers::kRoutes[] = {
    {"/generate", "POST", &ApiHandlers::Generate<NativeOrTgiRoute>, true, false},
    {"/generate_stream", "POST", &ApiHandlers::Generate<TgiStreamRoute>, true, false},
    {"/", "POST", &ApiHandlers::Generate<TgiRootRoute>, true, false},
    {"/info", "GET", &ApiHandlers::Info, true, false},
    {"/v1/completions", "POST", &ApiHandlers::Generate<CompletionsRoute>, true, false},
    {"/v1/chat/completions", "POST", &ApiHandlers::Generate<ChatRoute>, true, false},
    {"/apply-template", "POST", &ApiHandlers::Generate<ApplyTemplateRoute>, true, false},
    {"/tokenize", "POST", &ApiHandlers::Generate<TokenizeRoute>, true, false},
    {"/detokenize", "POST", &ApiHandlers::Generate<DetokenizeRoute>, true, false},
    {"/v1/embeddings", "POST", &ApiHandlers::Embeddings, false, false},
    {"/openapi.json", "GET", &ApiHandlers::OpenApi, false, false},
    {"/v1/models", "GET", &ApiHandlers::Models, true, false},
    {"/v1/models/", "GET", &ApiHandlers::OneModel, true, false},
    {"/livez", "GET", &ApiHandlers::Live, false, true},
    {"/readyz", "GET", &ApiHandlers::Ready, false, true},
    {"/health", "GET", &ApiHandlers::Ready, false, true},
    {"/ping", "GET", &ApiHandlers::Ready, false, true},
    {"/metrics", "GET", &ApiHandlers::RenderMetrics, false, true},
};

const ApiHandlers::Route* ApiHandlers::FindRoute(const HttpRequest& request) const {
  for (const Route& route : kRoutes) {
    const bool prefix = route.path.size() > 1 && route.path.back() == '/';
    if (prefix ? !request.path.starts_with(route.path) : request.path != route.path) continue;
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

template <GenerateRoute kGenerate>
HttpReply ApiHandlers::Generate(const HttpRequest& request, Caller caller) const {
  return kGenerate(*service_, settings_.generate, request, std::move(caller));
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
  reply.body = RenderModels(service_.load()->model(), settings_.generate.model_aliases);
  return reply;
}

HttpReply ApiHandlers::OneModel(const HttpRequest& request, Caller) const {
  const std::string_view name = std::string_view(request.path).substr(strlen("/v1/models/"));
  const ServedModel& model = service_.load()->model();
  if (!IsModelName(model, settings_.generate.model_aliases, name)) {
    return ErrorReply(NoSuchModel(model, name));
  }
  HttpReply reply;
  reply.body = RenderModel(model, name);
  return reply;
}

HttpReply ApiHandlers::Info(const HttpRequest&, Caller) const {
  HttpReply reply;
  reply.body = RenderTgiInfo(service_.load()->model(), service_.load()->state());
  return reply;
}

// For clients of OpenAI's API: a 404 would look like a wrong address.
HttpReply ApiHandlers::Embeddings(const HttpRequest&, Caller) const {
  return ErrorReply(501, "this server generates text and makes no embeddings");
}

HttpReply ApiHandlers::OpenApi(const HttpRequest&, Caller) const {
  HttpReply reply;
  reply.body = OpenApiDocument();
  return reply;
}

HttpReply ApiHandlers::RenderMetrics(const HttpRequest&, Caller) const {
  HttpReply reply;
  reply.content_type = Metrics::kContentType;
  reply.body = settings_.metrics->Render(service_, loaded_percent());
  return reply;
}

}  // namespace lockstep
