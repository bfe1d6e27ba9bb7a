// One POST to a collector. Blocking, for the settings' timeout at most; safe from any thread.
#pragma once

#include <chrono>
#include <string>

#include "core/base/status.h"
#include "server/telemetry/otlp_settings.h"

namespace lockstep {

struct PostReply {
  int status = 200;
  std::string body{};                  // its beginning
  std::chrono::seconds retry_after{};  // that it asks to wait for; 0: it does not say
};

// The answer; kUnavailable if there was none.
Result<PostReply> PostJson(const OtlpSettings& settings, const std::string& body);

}  // namespace lockstep
