// What is known of a chat that was answered.
#pragma once

#include "server/http/http_types.h"

namespace lockstep {

inline RequestRecord ChatRecord() {
  RequestRecord record;
  record.operation = "chat";
  record.status = 200;
  record.outcome = "stop";
  record.model = "tales";
  record.prompt_tokens = 30;
  record.first_token_ms = 30;
  return record;
}

}  // namespace lockstep
