// The library keeps the address by copying it, but the list of headers and the room for what went
// wrong by their pointers: they live as long as the request.
#include "server/http/curl_request.h"

#include <mutex>
#include <new>

// libcurl's options are set by a function of variable arguments.
// NOLINTBEGIN(cppcoreguidelines-pro-type-vararg)
namespace lockstep {
namespace {

CURL* NewHandle() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  CURL* const handle = curl_easy_init();
  if (handle == nullptr) throw std::bad_alloc();
  return handle;
}

}  // namespace

CurlRequest::CurlRequest(const std::string& url)
    : handle_(NewHandle(), curl_easy_cleanup), headers_(nullptr, curl_slist_free_all) {
  curl_easy_setopt(handle(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle(), CURLOPT_USERAGENT, "lockstep");
  curl_easy_setopt(handle(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle(), CURLOPT_ERRORBUFFER, error_.data());
}

std::string CurlRequest::Why(CURLcode code) const {
  return error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
}

void CurlRequest::AddHeader(const std::string& line) {
  curl_slist* const longer = curl_slist_append(headers_.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  (void)headers_.release();
  headers_.reset(longer);
}

CURLcode CurlRequest::Perform() {
  curl_easy_setopt(handle(), CURLOPT_HTTPHEADER, headers_.get());
  return curl_easy_perform(handle());
}

}  // namespace lockstep
// NOLINTEND(cppcoreguidelines-pro-type-vararg)
