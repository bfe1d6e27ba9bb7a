// libcurl sends it, as it fetches downloads, since a collector may stand behind TLS or a proxy. Of
// the answer's body as much is kept as its reasons may take.
#include "server/telemetry/http_post.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>

#include "server/http/curl_request.h"

// libcurl's options are set by a function of variable arguments.
// NOLINTBEGIN(cppcoreguidelines-pro-type-vararg)
namespace lockstep {
namespace {

constexpr long kConnectSeconds = 2, kSeconds = 5;

constexpr size_t kMostBody = 4096;

// The library calls back from C, which nothing may be thrown through: room was reserved.
size_t Keep(const char* data, size_t, size_t size, void* body) {
  auto& kept = *static_cast<std::string*>(body);
  kept.append(data, std::min(size, kMostBody - kept.size()));
  return size;
}

}  // namespace

Result<PostReply> PostJson(const std::string& url,
                           const std::vector<std::pair<std::string, std::string>>& headers,
                           const std::string& body) {
  PostReply reply;
  reply.body.reserve(kMostBody);
  CurlRequest curl(url);
  curl.AddHeader("Content-Type: application/json");
  for (const auto& [name, value] : headers) curl.AddHeader(fmt::format("{}: {}", name, value));
  CURL* const handle = curl.handle();
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT, kSeconds);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Keep);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &reply.body);
  if (const CURLcode code = curl.Perform(); code != CURLE_OK) {
    return Fail(ErrorKind::kUnavailable, curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  reply.status = static_cast<int>(status);
  curl_off_t seconds = 0;  // of a date, too
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &seconds);
  reply.retry_after = std::chrono::seconds(seconds);
  return reply;
}

}  // namespace lockstep
// NOLINTEND(cppcoreguidelines-pro-type-vararg)
