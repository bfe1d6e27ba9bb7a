// The server's own dialect: POST /generate with a prompt. Pure functions, safe from any thread.
//   {"index", "token", "text"[, "logprobs"]}                       an event of a stream
//   {"text": "", "prompt_progress"}                                while no token comes, each 10 s
//   {"id", "text", "tokens", "finish_reason", "usage", "timings", "seed", "system_fingerprint"
//    [, "logprobs"][, "done": true]}                               the answer; a stream's last
//    event
#pragma once

#include "server/api/dialect.h"

namespace lockstep {

// max_tokens has no upper limit here: the session cuts it to what the context leaves.
[[nodiscard]] Result<GenerateRequest> ReadNativeRequest(const Json& body, ReadContext& context);

extern const Dialect kNative;

}  // namespace lockstep
