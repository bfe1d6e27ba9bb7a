// What the parent of several models answers: which models there are and in what state they are by
// itself, and all else by the process of the model that the request names. Thread-safe; must
// outlive the router that calls it and its replies.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/route.h"
#include "server/http/error_reply.h"
#include "server/json/json_text.h"
#include "server/models/model_catalog.h"
#include "server/models/supervisor.h"

namespace lockstep {

struct ParentSettings {
  std::string standard;  // the model for requests that name none; empty: the only one
  size_t most_loaded = 4;
  size_t memory = 0;  // bytes for all models
  std::chrono::milliseconds load_timeout{600'000};
  // What clients say of who they are goes on to the model; else their address does.
  bool trust_proxy = false;
  bool metrics = true;
  std::string build;          // the program and its version
  bool generic_tools = true;  // as in GenerateSettings
};

class ParentApi {
 public:
  // Both must outlive it.
  ParentApi(ParentSettings settings, ModelCatalog& catalog, Supervisor& supervisor);

  // The parent's answer to each route that there is.
  HttpReply Handle(RouteCall& call, const Route& route);
  // From here on the server is not ready.
  void Drain() { draining_ = true; }

 private:
  // What a request is about.
  struct Wish {
    CatalogModel model;
    std::string name;  // as it was sent
    std::optional<std::chrono::milliseconds> keep_alive;
    bool asks_nothing = false;  // but that the model be loaded or unloaded: Ollama's clients do
  };

  // An error in the form of the dialect that is spoken, as the model's process would give it.
  using Refusal = HttpReply (*)(const Error& error);

  HttpReply ByModel(RouteCall& call, const Route& route);
  HttpReply ByQuery(RouteCall& call);
  HttpReply PassOn(RouteCall& call, const Wish& wish, Refusal refuse = ErrorReply);
  Result<HttpReply> Ask(RouteCall& call, int port, std::string_view body) const;
  HttpReply Stored(RouteCall& call);
  HttpReply Ready() const;
  HttpReply Metrics(RouteCall& call);
  // The metrics of the parent and of each model that is loaded.
  std::string AllMetrics(const HttpRequest& request);
  HttpReply List(RouteCall& call);
  HttpReply One(RouteCall& call);
  HttpReply Props() const;
  HttpReply LoadOrUnload(RouteCall& call, bool load);
  HttpReply OllamaList(RouteCall& call, bool running);
  HttpReply OllamaShow(RouteCall& call);
  HttpReply OllamaPull(RouteCall& call);

  // The model of that name, or where there is none the one for requests without a name. Errors are
  // kNotFound and kInvalidArgument, with the names that there are.
  Result<CatalogModel> Choose(const std::optional<std::string>& name);
  Result<Wish> ReadWish(const Json& body, std::string_view path);
  Json ModelJson(RouteCall& call, const CatalogModel& model);
  Json OllamaJson(RouteCall& call, const CatalogModel& model, const ModelStatus& status);
  // What a loaded model answers to a GET; nothing where it gives no answer. `gone`: AskUpstream's.
  std::optional<HttpReply> AskFor(const HttpRequest& request, const ModelStatus& status,
                                  const char* path, const std::function<bool()>& gone) const;
  // The first element of the array of that name which a loaded model answers with; else null.
  Json AskLoaded(RouteCall& call, const ModelStatus& status, const char* path, const char* array);

  const ParentSettings settings_;
  ModelCatalog& catalog_;
  Supervisor& supervisor_;
  std::atomic<bool> draining_ = false;
};

}  // namespace lockstep
