// Every reply passes through here, so that what all of them need (a key, CORS, a trace) is looked
// at once, and no handler can forget it.
#include "server/api/router.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "server/api/anthropic/anthropic_error.h"
#include "server/api/openai/response_store.h"
#include "server/api/request_body.h"
#include "server/api/routes.h"
#include "server/api/tei_api.h"
#include "server/http/error_reply.h"
#include "server/http/trace_context.h"
#include "server/json/json_text.h"
#include "server/page/page.h"

namespace lockstep {
namespace {

constexpr size_t kMaxClientName = 256;  // bytes that tell the clients of a proxy apart

// Ollama's clients, which ask below /api/, show the error itself to the user: a text and no object.
std::string PlainError(const std::string& body) {
  const auto json = ParseStrictObject(body);
  const bool known = json && json->contains("error") && (*json)["error"].contains("message");
  return known ? Dump(Json{{"error", (*json)["error"]["message"]}}) : body;
}

// Who sent the request, by its key. The scheme's name is of any case (RFC 9110, 11.1). X-Api-Key is
// what Anthropic's clients and some gateways send, and some send both, of which one is meant for
// another server.
std::optional<std::string> NameOf(const HttpRequest& request, const ApiKeys& keys) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view authorization = FindHeader(request.headers, "Authorization");
  if (EqualsNoCase(authorization.substr(0, kBearer.size()), kBearer)) {
    auto name = keys.NameOf(TrimSpaces(authorization.substr(kBearer.size())));
    if (name) return name;
  }
  return keys.NameOf(TrimSpaces(FindHeader(request.headers, "X-Api-Key")));
}

// A wrong key is told in OpenAI's words, by which clients that look at no status know the error.
std::string WhyNoKey(const HttpRequest& request) {
  const bool sent = !TrimSpaces(FindHeader(request.headers, "Authorization")).empty() ||
                    !TrimSpaces(FindHeader(request.headers, "X-Api-Key")).empty();
  return fmt::format("{}: send Authorization: Bearer KEY, or X-Api-Key: KEY",
                     sent ? "Incorrect API key provided" : "no API key provided");
}

// All requests of a gateway come with its own address, and maybe its own key: who stands behind it
// is in a header, of which the first that is there says most. Taken from anybody else, such a
// header would be as many shares of the machine as one cares to invent names.
std::string ClientBehindProxy(const HttpRequest& request, const std::string& client) {
  for (const char* name :
       {"x-llm-d-inference-fairness-id", "x-gateway-inference-fairness-id", "x-session-id",
        "session-id", "x-claude-code-session-id", "x-forwarded-for"}) {
    std::string_view value = FindHeader(request.headers, name);
    // Each proxy adds whom it was asked by, so that only the last entry is the trusted one's word.
    if (name == std::string_view("x-forwarded-for")) value = value.substr(value.rfind(',') + 1);
    value = TrimSpaces(value);
    if (!value.empty()) return fmt::format("{} {}", client, value.substr(0, kMaxClientName));
  }
  return client;
}

// Clients of some APIs know an error only in a form of its own, wherever it comes from.
void PutInFormOf(const HttpRequest& request, HttpReply& reply) {
  if (reply.status >= 400 && IsOllamaPath(request.path)) reply.body = PlainError(reply.body);
  if (reply.status >= 400 && IsTeiPath(request.path)) PutInTeiForm(reply);
  if (IsAnthropicPath(request.path)) PutInAnthropicForm(reply, request.request_id);
}

// Ollama's clients look whether a server is there, by GET or HEAD of the path that has the page for
// browsers. They want HTML, and say so.
std::optional<HttpReply> AnswerProbe(const HttpRequest& request) {
  const bool get = request.method == "GET" || request.method == "HEAD";
  const std::string_view accept = FindHeader(request.headers, "Accept");
  if (!get || request.path != "/" || accept.find("text/html") != accept.npos) return std::nullopt;
  HttpReply reply;
  reply.content_type = "text/plain; charset=utf-8";
  reply.headers = {{"Vary", "Accept"}};
  reply.body = "Ollama is running";
  reply.record->route = "/";
  return reply;
}

}  // namespace

Router::Router(ApiSettings settings)
    : settings_([&settings] {
        auto& responses = settings.generate.responses;
        if (responses == nullptr) responses = std::make_shared<ResponseStore>(settings.memory);
        return std::move(settings);
      }()) {}

const Route* Router::RouteOf(const HttpRequest& request) const {
  const Route* const route = FindRoute(request.path, request.method);
  // Without metrics their route does not exist, so that a scrape is a 404 and no empty page.
  const bool hidden = route != nullptr && route->path == "/metrics" &&
                      settings_.metrics == nullptr && !settings_.parent;
  return hidden ? nullptr : route;
}

HttpReply Router::Handle(const HttpRequest& request) const {
  const Route* route = RouteOf(request);
  HttpReply reply = Answer(request, route);
  if (route != nullptr) {
    reply.record->route = route->path;
    reply.record->operation = route->operation;
    reply.record->control = route->answered_by == AnsweredBy::kControl;
  }
  if (reply.handed_on) return reply;
  PutInFormOf(request, reply);
  settings_.cors.AddHeaders(request, reply);
  if (const auto trace = ContinueTrace(FindHeader(request.headers, "traceparent"))) {
    reply.headers.emplace_back("traceparent", trace->header());
    reply.record->trace_id = trace->trace_id;
    reply.record->span_id = trace->span_id;
    reply.record->parent_id = trace->parent_id;
    reply.record->traced = trace->sampled();
  }
  return reply;
}

// Bodies are those of POST: what a GET or a DELETE has of one takes no effect.
bool Router::Decides(const HttpRequest& head) const {
  const Route* const route = RouteOf(head);
  return route == nullptr || route->method != "POST" || head.method != "POST" || !Identify(head) ||
         !ContentTypeProblem(head).empty();
}

HttpReply Router::Refuse(const HttpRequest& request, int status, std::string_view message) const {
  HttpReply reply = ErrorReply(status, message);
  PutInFormOf(request, reply);
  settings_.cors.AddHeaders(request, reply);
  return reply;
}

HttpReply Router::Answer(const HttpRequest& request, const Route* route) const {
  // A browser asks without a key whether it may send one.
  if (auto preflight = settings_.cors.Preflight(request)) return *std::move(preflight);
  if (auto probe = AnswerProbe(request)) return *std::move(probe);
  if (auto page = Page::Embedded().Answer(request)) return *std::move(page);  // asks for the key
  std::optional<Caller> caller = Identify(request);
  if (!caller && (route == nullptr || route->needs != Needs::kNothing)) {
    return ErrorReply(401, WhyNoKey(request));
  }
  if (route == nullptr) {
    return ErrorReply(404, NoSuchRoute(request.path));
  }
  const bool head = request.method == "HEAD" && route->method == "GET";
  if (request.method != route->method && !head) {
    const std::string allowed = AllowedMethods(route->path);
    HttpReply reply = ErrorReply(405, fmt::format("{} takes {} only", route->path, allowed));
    reply.headers.emplace_back("Allow", allowed);
    return reply;
  }
  // It is read once, since the model may be opened between the check and the use.
  GenerationService* const service = service_;
  if (route->needs == Needs::kModel && service == nullptr && !settings_.parent) {
    return ErrorReply(
        {ErrorKind::kUnavailable, fmt::format("the model is loading, {}%", loaded_percent()), {}});
  }
  RouteCall call{request,   caller.value_or(Caller{}),
                 service,   loaded_percent(),
                 settings_, PlaceIn(request.path, route->path).value_or("")};
  return settings_.parent ? settings_.parent(call, *route) : route->handle(call);
}

// Without keys, requests take turns by the address they come from; with keys, by the key's name.
std::optional<Caller> Router::Identify(const HttpRequest& request) const {
  Caller caller;
  caller.gone = request.client_gone;
  caller.deadlines = settings_.deadlines;
  if (settings_.keys.empty()) {
    caller.client = request.peer;
  } else {
    const auto name = NameOf(request, settings_.keys);
    if (!name) return std::nullopt;
    caller.client = *name;
    // Only callers of one key share stored prefixes: how quickly a prompt is answered would
    // otherwise tell one client what another one has sent.
    if (settings_.prefix_scope == PrefixScope::kKey) {
      caller.prefix_scope = settings_.keys.ScopeOf(*name);
    }
  }
  if (settings_.trust_proxy) caller.client = ClientBehindProxy(request, caller.client);
  return caller;
}

}  // namespace lockstep
