// What every request of ours by libcurl has in common. For one thread.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

namespace lockstep {

class CurlRequest {
 public:
  // To http:// or https://; std::bad_alloc if the library has no memory.
  explicit CurlRequest(const std::string& url);

  void AddHeader(const std::string& line);
  CURL* handle() { return handle_.get(); }  // for more options
  CURLcode Perform();

 private:
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers_;
};

}  // namespace lockstep
