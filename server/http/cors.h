// Cross-Origin Resource Sharing: which web pages' scripts may read our replies. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/http/http_types.h"

namespace lockstep {

struct CorsPolicy {
  std::vector<std::string> origins;  // such as "https://example.org", or "*"; empty: none

  // The answer to a preflight request of an allowed origin; nothing if it is not one.
  std::optional<HttpReply> Preflight(const HttpRequest& request) const;
  // Lets an allowed origin's script read the reply.
  void AddHeaders(const HttpRequest& request, HttpReply& reply) const;

 private:
  // What Access-Control-Allow-Origin has to say; empty: nothing.
  std::string Allowed(const HttpRequest& request) const;
};

}  // namespace lockstep
