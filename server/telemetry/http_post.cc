// libcurl sends it, as it fetches downloads, since a collector may stand behind TLS or a proxy. Of
// the answer's body as much is kept as its reasons may take.
#include "server/telemetry/http_post.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>

#include "server/http/curl_request.h"
#include "server/http/gzip.h"

// libcurl's options are set by a function of variable arguments.
// NOLINTBEGIN(cppcoreguidelines-pro-type-vararg)
namespace lockstep {
namespace {

constexpr long kConnectMs = 2'000;

constexpr size_t kMostBody = 4096;

// The library calls back from C, which nothing may be thrown through: room was reserved.
size_t Keep(const char* data, size_t, size_t size, void* body) {
  auto& kept = *static_cast<std::string*>(body);
  kept.append(data, std::min(size, kMostBody - kept.size()));
  return size;
}

}  // namespace

Result<PostReply> PostJson(const OtlpSettings& settings, const std::string& json) {
  PostReply reply;
  reply.body.reserve(kMostBody);
  const std::string zipped = settings.gzip ? Gzip(json) : "";
  const std::string& body = settings.gzip ? zipped : json;
  CurlRequest curl(settings.url);
  curl.AddHeader("Content-Type: application/json");
  if (settings.gzip) curl.AddHeader("Content-Encoding: gzip");
  for (const auto& [name, value] : settings.headers) {
    curl.AddHeader(fmt::format("{}: {}", name, value));
  }
  CURL* const handle = curl.handle();
  const auto timeout = static_cast<long>(settings.timeout.count());
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, std::min(kConnectMs, timeout));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout);
  if (!settings.authorities.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, settings.authorities.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Keep);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &reply.body);
  if (const CURLcode code = curl.Perform(); code != CURLE_OK) {
    const bool untrusted =
        code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
    return Fail(ErrorKind::kUnavailable,
                untrusted
                    ? "its certificate is not trusted; name the file of your own authority by "
                      "OTEL_EXPORTER_OTLP_CERTIFICATE or SSL_CERT_FILE"
                    : curl_easy_strerror(code));
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
