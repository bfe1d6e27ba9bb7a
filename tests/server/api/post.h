// A POST of JSON to the routes, without a socket: what most tests of the API send.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
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

// A stream's events without their ids, of which each must have one.
inline std::string WithoutIds(const std::string& stream) {
  std::string text;
  size_t ids = 0, events = 0;
  for (size_t at = 0, end; at < stream.size(); at = end) {
    end = std::min(stream.find('\n', at), stream.size() - 1) + 1;
    const std::string line = stream.substr(at, end - at);
    if (line.starts_with("data: ")) ++events;
    if (line.starts_with("id: ")) {
      ++ids;
    } else {
      text += line;
    }
  }
  EXPECT_EQ(ids, events) << stream;
  return text;
}

inline HttpReply PostJson(const Router& router, std::string path, std::string body) {
  return router.Handle(JsonRequest(std::move(path), std::move(body)));
}

}  // namespace lockstep
