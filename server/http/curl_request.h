// What every request of ours by libcurl has in common. For one thread.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <string>

namespace lockstep {

class CurlRequest {
 public:
  // To http:// or https://; std::bad_alloc if the library has no memory.
  explicit CurlRequest(const std::string& url);
  CurlRequest(const CurlRequest&) = delete;
  CurlRequest& operator=(const CurlRequest&) = delete;

  void AddHeader(const std::string& line);
  CURL* handle() { return handle_.get(); }  // for more options
  CURLcode Perform();
  // What went wrong, with all that is known of it: which host was tried, be it a proxy, or what a
  // proxy answered.
  std::string Why(CURLcode code) const;

 private:
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers_;
};

}  // namespace lockstep
