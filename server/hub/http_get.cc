// libcurl brings what a download from the open network needs: proxies by https_proxy and no_proxy,
// hosts with several addresses, connections that stall. Redirects are followed here, since what
// they say on the way is wanted, and so that the token goes to the hub and nowhere else.
// cpp-httplib, which serves, decodes the header Location in the version of Debian 12, and a signed
// address that was decoded is refused.
#include "server/hub/http_get.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>

#include "core/base/quoted.h"
#include "server/http/curl_request.h"
#include "server/http/http_types.h"

// libcurl's options are set by a function of variable arguments.
// NOLINTBEGIN(cppcoreguidelines-pro-type-vararg)
namespace lockstep {
namespace {

constexpr size_t kMostRedirects = 10;
constexpr long kConnectSeconds = 15;
// Without a byte for so long a connection is taken for dead.
constexpr long kStallSeconds = 30;
constexpr long kBuffer = 512 << 10;
constexpr size_t kMostHead = 64 << 10;

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size()) return {};
  return value;
}

// One request and what becomes of it. The library calls back from C, which nothing may be thrown
// through.
class Exchange {
 public:
  Exchange(ReplyHead head, const std::function<bool(const ReplyHead&)>& begin,
           const std::function<bool(std::string_view)>& take)
      : head_(std::move(head)), begin_(begin), take_(take) {}

  CURLcode Perform(const Url& url, const HttpGet& request, bool with_token);
  const ReplyHead& head() const { return head_; }
  const std::string& location() const { return location_; }
  const std::string& why() const { return why_; }
  bool enough() const { return enough_; }
  // What was not asked for.
  bool compressed() const { return head_.status / 100 == 2 && !head_.encoding.empty(); }
  bool head_is_too_long() const { return head_is_too_long_; }
  void RethrowCaught() const {
    if (caught_) std::rethrow_exception(caught_);
  }

 private:
  static size_t OnHeader(const char* data, size_t, size_t size, void* self) {
    return static_cast<Exchange*>(self)->Guarded(size, [data, size](Exchange& exchange) {
      exchange.head_bytes_ += size;
      exchange.head_is_too_long_ = exchange.head_bytes_ > kMostHead;
      return !exchange.head_is_too_long_ && exchange.ReadLine(TrimSpaces({data, size}, " \t\r\n"));
    });
  }
  static size_t OnBody(const char* data, size_t, size_t size, void* self) {
    return static_cast<Exchange*>(self)->Guarded(size, [data, size](Exchange& exchange) {
      return exchange.take_({data, size});
    });
  }
  // The size, or less, which ends the transfer.
  template <class Function>
  size_t Guarded(size_t size, const Function& function) {
    try {
      enough_ = !function(*this);
    } catch (...) {
      caught_ = std::current_exception();
      enough_ = true;
    }
    return enough_ ? size + 1 : size;
  }
  bool ReadLine(std::string_view line);
  void ReadField(std::string_view name, std::string_view value);

  ReplyHead head_;
  std::string location_, why_;
  const std::function<bool(const ReplyHead&)>& begin_;
  const std::function<bool(std::string_view)>& take_;
  size_t head_bytes_ = 0;
  bool head_is_too_long_ = false, has_head_ = false;
  bool enough_ = false;  // whoever reads wants no more, or the body is of no use
  std::exception_ptr caught_;
};

// False if the transfer shall end. The line that is empty ends the head.
bool Exchange::ReadLine(std::string_view line) {
  if (line.starts_with("HTTP/")) {
    // One after the other may come, of which what is linked stays.
    ReplyHead next;
    next.linked_etag = std::move(head_.linked_etag);
    head_ = std::move(next);
    location_.clear();
    const size_t space = line.find(' ');
    if (space != line.npos) {
      head_.status = static_cast<int>(Number(line.substr(space + 1, 3)).value_or(0));
    }
    return true;
  }
  if (line.empty()) {
    if (head_.status < 200) return true;
    has_head_ = true;
    // Ranges, lengths and hashes are of the file itself.
    return location_.empty() && !compressed() && begin_(head_);
  }
  const size_t colon = line.find(':');
  if (colon != line.npos)
    ReadField(LowerCase(line.substr(0, colon)), TrimSpaces(line.substr(colon + 1)));
  return true;
}

void Exchange::ReadField(std::string_view name, std::string_view value) {
  const int status = head_.status;
  if (name == "etag") head_.etag = value;
  if (name == "content-range") head_.range = value;
  if (name == "retry-after") head_.retry_after = value;
  // Hugging Face's own: "api";r=0;t=55
  if (const size_t at = value.find(";t="); name == "ratelimit" && at != value.npos) {
    if (head_.retry_after.empty()) head_.retry_after = value.substr(at + 3);
  }
  if (name == "x-error-message") head_.error = value;
  if (name == "content-encoding" && !EqualsNoCase(value, "identity")) head_.encoding = value;
  if (name == "content-length") head_.length = Number(value);
  if (name == "transfer-encoding") head_.chunked = LowerCase(value).ends_with("chunked");
  if (name == "x-linked-etag" && head_.linked_etag.empty()) head_.linked_etag = value;
  const bool redirects =
      status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  if (name == "location" && redirects) location_ = value;
}

CURLcode Exchange::Perform(const Url& url, const HttpGet& request, bool with_token) {
  CurlRequest curl(url.Text());
  for (const auto& [name, value] : request.headers)
    curl.AddHeader(fmt::format("{}: {}", name, value));
  curl.AddHeader("Accept-Encoding: identity");  // ranges and hashes are of the file itself
  if (with_token) curl.AddHeader("Authorization: Bearer " + request.token);
  CURL* const handle = curl.handle();
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kBuffer);
  curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!request.authorities.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, request.authorities.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
  const CURLcode code = curl.Perform();
  why_ = Escaped(curl.Why(code), 200);
  // The library has no more than 100 KiB for a line, and calls that a want of memory.
  if (code == CURLE_OUT_OF_MEMORY && !has_head_) head_is_too_long_ = true;
  return code;
}

tl::unexpected<Error> Fail(const Url& url, CURLcode code, const std::string& why) {
  const std::string origin = url.Origin();
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return Fail(
          ErrorKind::kUnavailable,
          fmt::format("{} cannot be reached ({}): is there a network, and is the name right?",
                      origin, why));
    case CURLE_SSL_CACERT_BADFILE:
      return Fail(
          ErrorKind::kInvalidArgument,
          fmt::format("there are no certificates to tell whether {} is trusted: SSL_CERT_FILE "
                      "must name a file of them, or ca-certificates be installed ({})",
                      origin, why));
    case CURLE_PEER_FAILED_VERIFICATION:
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("the certificate of {} is not trusted: install ca-certificates, or "
                              "name the file of your own authority by SSL_CERT_FILE",
                              origin));
    default:
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("the connection to {} broke off ({})", origin, why));
  }
}

}  // namespace

Result<ReplyHead> Get(const HttpGet& request, const std::function<bool(const ReplyHead&)>& begin,
                      const std::function<bool(std::string_view)>& take) {
  Url url = request.url;
  bool with_token = !request.token.empty();
  ReplyHead head;
  for (size_t i = 0; i <= kMostRedirects; ++i) {
    Exchange exchange(std::move(head), begin, take);
    const CURLcode code = exchange.Perform(url, request, with_token);
    exchange.RethrowCaught();
    if (exchange.head_is_too_long()) {
      return Fail(ErrorKind::kBadFile, fmt::format("{} answers with a head of more than {} KiB",
                                                   url.Origin(), kMostHead >> 10));
    }
    if (exchange.compressed() && exchange.location().empty()) {
      return Fail(
          ErrorKind::kBadFile,
          fmt::format("{} sends {} compressed ({}), which it was asked not to, and not as it is",
                      url.Origin(), url.path, Escaped(exchange.head().encoding, 20)));
    }
    if (code != CURLE_OK && !exchange.enough()) return Fail(url, code, exchange.why());
    head = exchange.head();
    if (exchange.location().empty()) return head;
    TRY(const Url next, ResolveUrl(url, exchange.location()));
    if (url.tls && !next.tls) {
      return Fail(
          ErrorKind::kInvalidArgument,
          fmt::format("{} redirects to {}, which is not encrypted", url.Origin(), next.Origin()));
    }
    // Once it is left away it stays away, also where a later redirect leads back.
    with_token = with_token && next.Origin() == url.Origin();
    url = next;
  }
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("{} redirects more than {} times", request.url.Text(), kMostRedirects));
}

Result<WholeReply> GetWhole(const HttpGet& request, size_t most) {
  WholeReply reply;
  TRY(reply.head, Get(
                      request, [](const ReplyHead&) { return true; },
                      [&reply, most](std::string_view piece) {
                        reply.body += piece.substr(0, most - reply.body.size());
                        return reply.body.size() < most;
                      }));
  return reply;
}

}  // namespace lockstep
// NOLINTEND(cppcoreguidelines-pro-type-vararg)
