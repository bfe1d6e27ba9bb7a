// The routes: from a decoded HTTP request to a reply, through a GenerationService. Knows no
// sockets. Thread-safe; the service must outlive it and its replies.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/generate_routes.h"
#include "server/api/metrics.h"
#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"
#include "server/http/api_keys.h"
#include "server/http/cors.h"
#include "server/http/http_types.h"

namespace lockstep {

struct ApiSettings {
  ApiKeys keys;
  CorsPolicy cors;
  Deadlines deadlines;  // of every request; its own can only be earlier
  GenerateSettings generate;
  const Metrics* metrics = nullptr;  // null: there is no /metrics. Must outlive the handlers
};

class ApiHandlers {
 public:
  // The model counts as loading until Open.
  explicit ApiHandlers(ApiSettings settings = {}) : settings_(std::move(settings)) {}
  explicit ApiHandlers(GenerationService& service, ApiSettings settings = {})
      : ApiHandlers(std::move(settings)) {
    Open(service);
  }

  void SetLoaded(size_t percent) { loaded_percent_ = percent; }
  size_t loaded_percent() const { return loaded_percent_; }
  void Open(GenerationService& service) { service_ = &service; }

  // Blocks for as long as a generation takes, or until its first token if it is streamed.
  HttpReply Handle(const HttpRequest& request) const;
  // The answer to a request that could not be read: a page of a listed origin may read it too.
  HttpReply Refuse(const HttpRequest& request, int status, std::string_view message) const;

 private:
  struct Route;
  static const Route kRoutes[];

  const Route* FindRoute(const HttpRequest& request) const;
  HttpReply Answer(const HttpRequest& request, const Route* route) const;
  // Who sent the request; nothing if a key is needed and was not sent.
  std::optional<Caller> Identify(const HttpRequest& request) const;

  template <GenerateRoute kGenerate>
  HttpReply Generate(const HttpRequest& request, Caller caller) const;
  HttpReply Live(const HttpRequest& request, Caller caller) const;
  HttpReply Ready(const HttpRequest& request, Caller caller) const;
  HttpReply Models(const HttpRequest& request, Caller caller) const;
  HttpReply OneModel(const HttpRequest& request, Caller caller) const;
  HttpReply Info(const HttpRequest& request, Caller caller) const;
  HttpReply OpenApi(const HttpRequest& request, Caller caller) const;
  HttpReply Embeddings(const HttpRequest& request, Caller caller) const;
  HttpReply RenderMetrics(const HttpRequest& request, Caller caller) const;

  const ApiSettings settings_;
  std::atomic<GenerationService*> service_{nullptr};  // null: loading
  std::atomic<size_t> loaded_percent_{0};
};

}  // namespace lockstep
