// A request is read here as far as its model's name, by the same reader that its model's process
// reads it with, so that what is no request starts no process and gets the same answer. Then it
// goes on as it came: what it means, and what it gets, is that process's.
#include "server/models/parent_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "core/base/quoted.h"
#include "server/api/dialect.h"
#include "server/api/json_reply.h"
#include "server/api/ollama/keep_alive.h"
#include "server/api/ollama/ollama_common.h"
#include "server/api/ollama/ollama_models.h"
#include "server/api/request_body.h"
#include "server/api/request_fields.h"
#include "server/api/server_info.h"
#include "server/api/tei_api.h"
#include "server/http/error_reply.h"
#include "server/http/query.h"
#include "server/http/upstream.h"
#include "server/hub/url.h"

namespace lockstep {
namespace {

using Clock = Supervisor::Clock;

constexpr size_t kShownNames = 20;

// By these a client says who it is, and who is behind it: server/api/router.cc reads them where it
// trusts whoever sends them.
constexpr std::array<std::string_view, 6> kIdentities = {"x-llm-d-inference-fairness-id",
                                                         "x-gateway-inference-fairness-id",
                                                         "x-session-id",
                                                         "session-id",
                                                         "x-claude-code-session-id",
                                                         "x-forwarded-for"};

std::optional<std::string> QueryField(const HttpRequest& request, std::string_view name) {
  for (auto& [key, value] : ParseQuery(request.query)) {
    if (key == name && !value.empty()) return value;
  }
  return std::nullopt;
}

std::string NamesOf(const std::vector<CatalogModel>& models) {
  std::string names;
  for (size_t i = 0; i < std::min(models.size(), kShownNames); ++i) {
    names += (i > 0 ? ", " : "") + Quoted(models[i].name);
  }
  if (models.size() > kShownNames)
    names += fmt::format(", and {} more", models.size() - kShownNames);
  return models.empty() ? "no models" : names;
}

// Null is absence, as everywhere.
Result<std::optional<std::string>> ReadName(const Json& object, const char* field) {
  const Json* const value = FindField(object, field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    return Fail(ErrorKind::kInvalidArgument, fmt::format("{} must be a string", field), field);
  }
  const auto& name = value->get_ref<const std::string&>();
  if (name.size() > kMaxModelName) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{} has more than {} bytes", field, kMaxModelName), field);
  }
  if (name.empty()) return std::nullopt;
  return name;
}

bool Asks(const Json& body, const char* field) {
  const Json* const value = FindField(body, field);
  return value != nullptr && !((value->is_string() || value->is_array()) && value->empty());
}

// Clients of text-embeddings-inference know an error in its form alone. Its own paths the router
// knows; what a model's process has answered is in that form.
HttpReply InForm(HttpReply reply, bool tei) {
  if (tei && reply.status >= 400 && !reply.handed_on) PutInTeiForm(reply);
  return reply;
}

}  // namespace

ParentApi::ParentApi(ParentSettings settings, ModelCatalog& catalog, Supervisor& supervisor)
    : settings_(std::move(settings)), catalog_(catalog), supervisor_(supervisor) {}

HttpReply ParentApi::Handle(RouteCall& call, const Route& route) {
  const std::string_view path = route.path;
  if (route.handle == lockstep::Ready) return Ready();
  if (path == "/metrics") return Metrics(call);
  if (route.handle == OllamaNoLibrary) {
    return ErrorReply(501, fmt::format("{} is not supported: the models of this server are files "
                                       "in its folder",
                                       call.request.path));
  }
  if (route.method == "GET" || route.method == "DELETE") {
    if (path == "/models" || path == "/v1/models") return List(call);
    if (path == "/v1/models/*") return One(call);
    if (path == "/api/tags") return OllamaList(call, false);
    if (path == "/api/ps") return OllamaList(call, true);
    if (path == "/props" && !QueryField(call.request, "model")) return Props();
    if (path.find("/responses/*") != path.npos) return Stored(call);
    return route.needs == Needs::kModel ? ByQuery(call) : route.handle(call);
  }
  if (path == "/models/load" || path == "/models/unload") {
    return LoadOrUnload(call, path == "/models/load");
  }
  if (path == "/api/show") return OllamaShow(call);
  if (path == "/api/pull") return OllamaPull(call);
  return route.needs == Needs::kModel ? ByModel(call, route) : route.handle(call);
}

Result<CatalogModel> ParentApi::Choose(const std::optional<std::string>& name) {
  if (name) {
    if (auto found = catalog_.Find(*name)) return *std::move(found);
    return Fail(ErrorKind::kNotFound,
                fmt::format("there is no model {}; this server has {}",
                            Quoted(name->substr(0, kMaxModelName)), NamesOf(catalog_.List())),
                "model");
  }
  if (!settings_.standard.empty()) {
    if (auto found = catalog_.Find(settings_.standard)) return *std::move(found);
  }
  std::vector<CatalogModel> models = catalog_.List();
  if (models.size() == 1) return std::move(models.front());
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("the request names no model; this server has {}, and --default-model "
                          "says which one is meant",
                          NamesOf(models)),
              "model");
}

Result<ParentApi::Wish> ParentApi::ReadWish(const Json& body, std::string_view path) {
  TRY(std::optional<std::string> name, ReadName(body, "model"));
  if (!name && IsOllamaPath(path)) {
    TRY(name, ReadName(body, "name"));
  }
  // Where an answer is to be verified, the request in it says which model it was of.
  const Json* const request = path == "/verify" ? FindField(body, "request") : nullptr;
  if (!name && request != nullptr && request->is_object()) {
    TRY(name, ReadName(*request, "model"));
  }
  Wish wish;
  TRY(wish.model, Choose(name));
  wish.name = name.value_or(wish.model.name);
  if (IsOllamaPath(path)) {
    const Json* const time = FindField(body, "keep_alive");
    if (time != nullptr) wish.keep_alive = ParseKeepAlive(*time);
    wish.asks_nothing = !Asks(body, "prompt") && !Asks(body, "messages") && !Asks(body, "input");
  }
  return wish;
}

HttpReply ParentApi::ByModel(RouteCall& call, const Route& route) {
  Wish wish;
  bool tei = false;
  Refusal refuse = ErrorReply;
  {
    auto body = ReadBody(call.request, call.caller, call.settings.memory);
    if (!body) return std::move(body.error());
    auto read = ReadWish(body->json, call.request.path);
    tei = IsTeiRequest(call.request.path, body->json);
    if (!tei && route.dialect != nullptr) refuse = route.dialect(body->json).error;
    if (!read) return InForm(refuse(read.error()), tei);
    wish = *std::move(read);
  }
  const bool ends = wish.keep_alive == std::chrono::milliseconds(0);
  if (ends && wish.asks_nothing && !supervisor_.IsThere(wish.model.name)) {
    Json json{{"model", wish.name}, {"created_at", Rfc3339(std::chrono::system_clock::now())}};
    if (call.request.path == "/api/chat") {
      json["message"] = {{"role", "assistant"}, {"content", ""}};
    } else {
      json["response"] = "";
    }
    json["done"] = true;
    json["done_reason"] = "unload";
    return JsonReply(json);
  }
  return InForm(PassOn(call, wish, refuse), tei);
}

HttpReply ParentApi::ByQuery(RouteCall& call) {
  Wish wish;
  auto model = Choose(QueryField(call.request, "model"));
  if (!model) return ErrorReply(model.error());
  wish.model = *std::move(model);
  return PassOn(call, wish);
}

// What one process makes of `call`. Its lease is the reply's until that has ended.
HttpReply ParentApi::PassOn(RouteCall& call, const Wish& wish, Refusal refuse) {
  const HttpRequest& request = call.request;
  const auto autoload = QueryField(request, "autoload");
  if (autoload && *autoload != "true" && *autoload != "1" &&
      !supervisor_.IsThere(wish.model.name)) {
    return refuse({ErrorKind::kInvalidArgument,
                   fmt::format("the model {} is not loaded", Quoted(wish.model.name)), "model"});
  }
  const auto now = Clock::now();
  auto deadline = now + settings_.load_timeout;
  if (call.caller.deadlines.total < settings_.load_timeout) {
    deadline = now + call.caller.deadlines.total;
  }
  auto acquired = supervisor_.Acquire(wish.model, deadline, request.client_gone);
  if (!acquired) return refuse(acquired.error());
  const auto lease = std::make_shared<Supervisor::Lease>(*std::move(acquired));
  if (wish.keep_alive) lease->KeepAlive(*wish.keep_alive);
  auto reply = Ask(call, lease->port(), request.body);
  if (!reply) return refuse(reply.error());
  reply->record->model = wish.model.name;
  if (reply->next) {
    reply->next = [next = std::move(reply->next), lease, record = reply->record,
                   gone = request.client_gone] {
      BodyPart part = next();
      if (part.then == BodyPart::Then::kAbort && !gone()) {
        record->model.clear();  // which was to say how it ended, has ended itself
        record->outcome = "broken off";
      }
      return part;
    };
  }
  return *std::move(reply);
}

Result<HttpReply> ParentApi::Ask(RouteCall& call, int port, std::string_view body) const {
  const HttpRequest& request = call.request;
  UpstreamRequest upstream;
  // A reply to HEAD has the length of the body that it leaves out, which is known with the body.
  upstream.method = request.method == "HEAD" ? "GET" : request.method;
  upstream.target = EncodePath(request.path);
  if (!request.query.empty()) upstream.target += "?" + request.query;
  upstream.headers = EndToEndHeaders(request.headers);
  const auto drop = [&upstream](std::string_view name) {
    std::erase_if(upstream.headers,
                  [name](const auto& header) { return EqualsNoCase(header.first, name); });
  };
  drop("X-Request-Id");
  upstream.headers.emplace_back("X-Request-Id", request.request_id);
  if (!settings_.trust_proxy) {
    for (const std::string_view name : kIdentities) drop(name);
  }
  if (FindHeader(upstream.headers, "X-Forwarded-For").empty()) {
    upstream.headers.emplace_back("X-Forwarded-For", request.peer);
  }
  upstream.body = body;
  TRY(HttpReply reply, AskUpstream(port, upstream, request.client_gone));
  reply.handed_on = true;
  if (reply.status >= 400) reply.record->outcome = fmt::format("status {}", reply.status);
  return reply;
}

// Which process has kept a response, only its id could tell: those that are loaded are asked in
// turn.
HttpReply ParentApi::Stored(RouteCall& call) {
  if (QueryField(call.request, "model")) return ByQuery(call);
  std::optional<HttpReply> last;
  for (const auto& [name, status] : supervisor_.All()) {
    if (status.state != ModelState::kLoaded) continue;
    const auto model = catalog_.Find(name);
    if (!model) continue;
    Wish wish;
    wish.model = *model;
    last = PassOn(call, wish);
    if (last->status != 404) break;
  }
  if (last) return *std::move(last);
  return ErrorReply(404, "no model is loaded, and with the process of a model what it stored ends");
}

HttpReply ParentApi::Ready() const {
  HttpReply reply;
  reply.body = draining_ ? R"({"status":"draining"})" : R"({"status":"ok"})";
  if (draining_) {
    reply.status = 503;
    AddRetryAfter(reply, 1);
  }
  return reply;
}

}  // namespace lockstep
