// From a request that was read to an HTTP reply: the generation is the same in every dialect, whose
// writer says what its events look like.
#pragma once

#include <chrono>

#include "server/api/dialect.h"
#include "server/generation/generation_service.h"
#include "server/http/http_types.h"

namespace lockstep {

// While no token comes, a stream gets what its writer has for Waiting every `keep_alive`, so that
// neither proxies nor clients take a long prompt for a dead server. The status waits for the first
// token or the first of these, whichever comes first, and these wait for the request's session, or
// its deadline if that is near: what fails by then (a full queue, a bad field, no session in time)
// has a status of its own, which clients act on; what fails later is an event.
HttpReply Respond(GenerationService& service, DialectRequest request, const Dialect& dialect,
                  Caller caller, std::chrono::milliseconds keep_alive);

}  // namespace lockstep
