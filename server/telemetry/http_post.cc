// libcurl sends it, as it fetches downloads, since a collector may stand behind TLS or a proxy. The
// body of the answer is dropped: only its status decides what becomes of what was sent.
#include "server/telemetry/http_post.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include "server/http/curl_request.h"

// libcurl's options are set by a function of variable arguments.
// NOLINTBEGIN(cppcoreguidelines-pro-type-vararg)
namespace lockstep {
namespace {

constexpr long kConnectSeconds = 2, kSeconds = 5;

size_t Forget(const char*, size_t, size_t size, void*) { return size; }

}  // namespace

Result<int> PostJson(const std::string& url,
                     const std::vector<std::pair<std::string, std::string>>& headers,
                     const std::string& body) {
  CurlRequest curl(url);
  curl.AddHeader("Content-Type: application/json");
  for (const auto& [name, value] : headers) curl.AddHeader(fmt::format("{}: {}", name, value));
  CURL* const handle = curl.handle();
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT, kSeconds);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Forget);
  if (const CURLcode code = curl.Perform(); code != CURLE_OK) {
    return Fail(ErrorKind::kUnavailable, curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

}  // namespace lockstep
// NOLINTEND(cppcoreguidelines-pro-type-vararg)
