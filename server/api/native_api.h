// The server's own dialect: POST /generate with a prompt. Pure functions, safe from any thread.
//   {"index", "token", "text"[, "logprobs"]}                       an event of a stream
//   {"id", "text", "tokens", "finish_reason", "usage", "timings", "seed", "system_fingerprint"
//    [, "logprobs"][, "done": true]}                               the answer; a stream's last
//    event
#pragma once

#include <memory>

#include "server/api/request_fields.h"
#include "server/api/respond.h"
#include "server/http/sse.h"

namespace lockstep {

// max_tokens has no upper limit here: the session cuts it to what the context leaves.
[[nodiscard]] Result<GenerateRequest> ReadNativeRequest(const Json& body, ReadContext& context);

// The service must outlive it.
std::unique_ptr<AnswerWriter> MakeNativeWriter(const GenerationService& service,
                                               StreamFormat format);

}  // namespace lockstep
