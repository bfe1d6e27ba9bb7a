// One POST to a collector. Blocking, for five seconds at most; safe from any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

// The status of the answer; kUnavailable if there was none.
Result<int> PostJson(const std::string& url,
                     const std::vector<std::pair<std::string, std::string>>& headers,
                     const std::string& body);

}  // namespace lockstep
