// The way of a request to its route: who asks, whether there is such a route and the model is
// there, and what every reply has besides. Knows no sockets. Thread-safe; the service must outlive
// it and its replies.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/route.h"

namespace lockstep {

class Router {
 public:
  // The model counts as loading until Open.
  explicit Router(ApiSettings settings = {});
  explicit Router(GenerationService& service, ApiSettings settings = {})
      : Router(std::move(settings)) {
    Open(service);
  }

  void SetLoaded(size_t percent) { loaded_percent_ = percent; }
  size_t loaded_percent() const { return loaded_percent_; }
  void Open(GenerationService& service) { service_ = &service; }

  // Blocks for as long as a generation takes, or until its first token if it is streamed.
  HttpReply Handle(const HttpRequest& request) const;
  // Whether Handle answers by the head alone, and a body makes no difference: who asks may not, or
  // asks for what there is not, or sends what is not read. Does not block.
  bool Decides(const HttpRequest& head) const;
  // The answer to a request that could not be read: a page of a listed origin may read it too.
  HttpReply Refuse(const HttpRequest& request, int status, std::string_view message) const;

 private:
  // The row of the request's path, unless the settings leave that route out.
  const Route* RouteOf(const HttpRequest& request) const;
  HttpReply Answer(const HttpRequest& request, const Route* route) const;
  // Who sent the request; nothing if a key is needed and was not sent.
  std::optional<Caller> Identify(const HttpRequest& request) const;

  const ApiSettings settings_;
  std::atomic<GenerationService*> service_{nullptr};  // null: loading
  std::atomic<size_t> loaded_percent_{0};
};

}  // namespace lockstep
