// A POST of JSON to the routes, without a socket: what most tests of the API send.
#pragma once

#include <string>

#include "server/api/router.h"

namespace lockstep {

inline HttpRequest JsonRequest(std::string path, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.path = std::move(path);
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(body);
  return request;
}

inline HttpReply PostJson(const Router& router, std::string path, std::string body) {
  return router.Handle(JsonRequest(std::move(path), std::move(body)));
}

}  // namespace lockstep
