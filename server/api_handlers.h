// The routes: from a decoded HTTP request to a reply, through a GenerationService. Knows no
// sockets. Thread-safe; the service must outlive it and its replies.
#pragma once

#include "server/api_types.h"
#include "server/generation_service.h"

namespace lockstep {

class ApiHandlers {
 public:
  explicit ApiHandlers(GenerationService& service) : service_(service) {}

  // Blocks for as long as a generation takes, or until its first token if it is streamed.
  HttpReply Handle(const HttpRequest& request) const;

 private:
  HttpReply Generate(const HttpRequest& request) const;
  HttpReply Live(const HttpRequest& request) const;
  HttpReply Ready(const HttpRequest& request) const;
  HttpReply Models(const HttpRequest& request) const;

  struct Route;
  static const Route kRoutes[];

  GenerationService& service_;
};

}  // namespace lockstep
