// The routes: from a decoded HTTP request to a reply, through a GenerationService. Knows no
// sockets. Thread-safe; the service must outlive it and its replies.
#pragma once

#include <atomic>

#include "server/api_types.h"
#include "server/generation_service.h"

namespace lockstep {

class ApiHandlers {
 public:
  // The model counts as loading until Open.
  ApiHandlers() = default;
  explicit ApiHandlers(GenerationService& service) { Open(service); }

  void SetLoaded(size_t percent) { loaded_percent_ = percent; }
  size_t loaded_percent() const { return loaded_percent_; }
  void Open(GenerationService& service) { service_ = &service; }

  // Blocks for as long as a generation takes, or until its first token if it is streamed.
  HttpReply Handle(const HttpRequest& request) const;

 private:
  HttpReply Generate(const HttpRequest& request) const;
  HttpReply Live(const HttpRequest& request) const;
  HttpReply Ready(const HttpRequest& request) const;
  HttpReply Models(const HttpRequest& request) const;

  struct Route;
  static const Route kRoutes[];

  std::atomic<GenerationService*> service_{nullptr};  // null: loading
  std::atomic<size_t> loaded_percent_{0};
};

}  // namespace lockstep
