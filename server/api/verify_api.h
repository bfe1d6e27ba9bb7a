// POST /verify: whether an answer is what this model gives to its request, by making it again. The
// tokens of the answer are checked many at a time, as guesses are, so that it takes a fraction of
// the time that they took, until one differs. Thread-safe.
//
// The body has "route" and "request", as they were sent, and of the answer what there is:
//   "answer"   as it came whole: its "receipt" (or that of its "index"th choice, 0 if absent),
//              "tokens" and text are read
//   "receipt"  also from the header x-lockstep-receipt of an answer that is not streamed
//   "tokens", "text"  of the answer, instead of those in it
// Without a receipt the request must have a seed, or be greedy.
//
// The reply is {"verified": true, "tokens", "seed", "system_fingerprint"}, or {"verified": false,
// "differs", "message"} with "model", "request", "prompt", "answer" or "receipt" as what differs.
// For an answer, "index" is the first token that differs, with "expected" and "got", each {"token",
// "text"} or null where the answer has ended.
#pragma once

#include "server/api/route.h"

namespace lockstep {

// The dialect in which the path's route reads the body; null where it generates nothing.
using DialectFinder = const Dialect* (*)(std::string_view path, const Json& body);
// Blocks for as long as the answer takes to be made.
HttpReply VerifyBy(DialectFinder find, RouteCall& call);
template <DialectFinder kFind>
HttpReply Verify(RouteCall& call) {
  return VerifyBy(kFind, call);
}

}  // namespace lockstep
