// One POST to a collector. Blocking, for five seconds at most; safe from any thread.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

struct PostReply {
  int status = 200;
  std::string body{};                  // its beginning
  std::chrono::seconds retry_after{};  // that it asks to wait for; 0: it does not say
};

// The answer; kUnavailable if there was none.
Result<PostReply> PostJson(const std::string& url,
                           const std::vector<std::pair<std::string, std::string>>& headers,
                           const std::string& body);

}  // namespace lockstep
