// What a row of the route table says, and what its handler is given. Plain structs: a RouteCall
// belongs to one request, and its handler may use it up.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "core/base/memory_budget.h"
#include "server/api/metrics.h"
#include "server/api/request_fields.h"
#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"
#include "server/http/api_keys.h"
#include "server/http/cors.h"
#include "server/http/http_types.h"

namespace lockstep {

struct GenerateSettings {
  // Between the signs of life of a stream that waits. Proxies give up after 30 s and more.
  std::chrono::milliseconds keep_alive{10'000};
  ModelNames names;
  bool strict = false;        // unknown fields are refused on every route, and not only on our own
  bool generic_tools = true;  // for a model whose chat template has none
  std::shared_ptr<ResponseStore> responses = nullptr;  // the router makes one where there is none
};

// Who may be told by its time, and by cached_tokens, what others have sent.
enum class PrefixScope { kKey, kAll };

struct Route;
struct RouteCall;

struct ApiSettings {
  ApiKeys keys;
  PrefixScope prefix_scope = PrefixScope::kKey;
  // A gateway in front has written the headers that say whose a request is.
  bool trust_proxy = false;
  CorsPolicy cors;
  Deadlines deadlines;  // of every request; its own can only be earlier
  GenerateSettings generate;
  // Both must outlive the router.
  const Metrics* metrics = nullptr;  // null: there is no /metrics
  MemoryBudget* memory = nullptr;    // for what requests hold; null: without a bound
  // Where other processes have the models: answers in the place of each route's handler.
  std::function<HttpReply(RouteCall& call, const Route& route)> parent = {};
};

struct RouteCall {
  const HttpRequest& request;
  Caller caller;
  GenerationService* service;  // null while the model is loading, but never where Needs::kModel
  size_t loaded_percent;
  const ApiSettings& settings;
  std::string_view place;  // what the path has where the route's has a star
};

// What must be there before a route answers. A model is served to callers with a key only.
enum class Needs { kNothing, kKey, kModel };
// Which threads answer. Those for control are few, and never wait for a generation: health checks
// and scrapes get through whatever the others do.
enum class AnsweredBy { kWorkers, kControl };

struct Dialect;
using DialectChoice = const Dialect& (*)(const Json& body);

struct Route {
  std::string_view path;  // a star stands for anything: RouteCall's place
  std::string_view method;
  HttpReply (*handle)(RouteCall& call);  // blocks for as long as a generation takes
  Needs needs;
  AnsweredBy answered_by;
  // What OpenTelemetry's conventions call it (gen_ai.operation.name); empty: it asks no model.
  std::string_view operation = {};
  DialectChoice dialect = nullptr;  // of what it generates; null: nothing
};

// Ollama's routes have habits of their own, errors among them.
inline bool IsOllamaPath(std::string_view path) { return path.starts_with("/api/"); }

}  // namespace lockstep
