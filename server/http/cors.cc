// A browser lets a page's script read another server's reply only where the reply says so (the
// Fetch standard). An origin that is not listed gets the reply without the words: the browser
// refuses then, and no other client notices a difference.
#include "server/http/cors.h"

#include <algorithm>

namespace lockstep {
namespace {

constexpr char kMethods[] = "GET, HEAD, POST, DELETE, OPTIONS";
constexpr char kRequestHeaders[] =
    "Authorization, Content-Type, X-Api-Key, X-Request-Id, X-Request-Timeout-Ms, "
    "Last-Event-ID, traceparent";
constexpr char kReplyHeaders[] =
    "X-Request-Id, request-id, Retry-After, retry-after-ms, Server-Timing, traceparent, "
    "x-should-retry, x-ignored-params, x-tool-format, x-lockstep-receipt";
constexpr char kMaxAge[] = "7200";  // seconds: no browser keeps it longer

}  // namespace

std::string CorsPolicy::Allowed(const HttpRequest& request) const {
  const std::string_view origin = FindHeader(request.headers, "Origin");
  if (origin.empty()) return {};
  if (std::find(origins.begin(), origins.end(), "*") != origins.end()) return "*";
  const bool listed = std::find(origins.begin(), origins.end(), origin) != origins.end();
  return listed ? std::string(origin) : std::string();
}

std::optional<HttpReply> CorsPolicy::Preflight(const HttpRequest& request) const {
  if (request.method != "OPTIONS" || Allowed(request).empty() ||
      FindHeader(request.headers, "Access-Control-Request-Method").empty()) {
    return std::nullopt;
  }
  // Client libraries send headers of their own, which we ignore: the page may send what it likes.
  const std::string_view wanted = FindHeader(request.headers, "Access-Control-Request-Headers");
  HttpReply reply;
  reply.status = 204;
  reply.headers = {{"Access-Control-Allow-Methods", kMethods},
                   {"Access-Control-Allow-Headers",
                    wanted.empty() ? std::string(kRequestHeaders) : std::string(wanted)},
                   {"Access-Control-Max-Age", kMaxAge}};
  return reply;
}

void CorsPolicy::AddHeaders(const HttpRequest& request, HttpReply& reply) const {
  if (origins.empty()) return;
  reply.headers.emplace_back("Vary", "Origin");
  std::string allowed = Allowed(request);
  if (allowed.empty()) return;
  reply.headers.emplace_back("Access-Control-Allow-Origin", std::move(allowed));
  reply.headers.emplace_back("Access-Control-Expose-Headers", kReplyHeaders);
}

}  // namespace lockstep
