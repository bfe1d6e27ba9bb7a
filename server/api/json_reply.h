// A reply whose body is JSON.
#pragma once

#include "server/http/http_types.h"
#include "server/json/json_text.h"

namespace lockstep {

inline HttpReply JsonReply(const Json& body) {
  HttpReply reply;
  reply.body = Dump(body);
  return reply;
}

}  // namespace lockstep
