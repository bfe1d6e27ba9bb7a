// What an error looks like from outside: status, body, headers. One table for the core's errors and
// one for HTTP's own. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "server/http/http_types.h"

namespace lockstep {

// {"error": {"message", "type", "param", "code"}} with the status, and Retry-After where trying
// again later can help.
HttpReply ErrorReply(const Error& error);
// Says when to try again, to a reply with 429 or 503; 0: not known.
void AddRetryAfter(HttpReply& reply, double seconds);
// The reply to what HTTP itself refuses: 404, 405, 408, 413, ...
HttpReply ErrorReply(int status, std::string_view message);
std::string RenderError(const Error& error);
// The error's code, such as "queue_full", for the log.
std::string_view ErrorCode(ErrorKind kind);

}  // namespace lockstep
