// The dialect of Hugging Face's text-generation-inference: {"inputs", "parameters"[, "stream"]} on
// POST /generate, /generate_stream and /. Pure functions, safe from any thread.
#pragma once

#include <memory>

#include "server/api/request_fields.h"
#include "server/api/respond.h"
#include "server/http/http_types.h"

namespace lockstep {

struct TgiRequest {
  GenerateRequest generate;
  bool details = false;
  bool return_full_text = false;  // the prompt's text comes before the answer's
  size_t top_n_tokens = 0;        // likeliest tokens at each place
  bool as_list = false;           // an unstreamed answer stands in a list of one
};

// Whether a body to /generate is of this dialect.
bool IsTgiRequest(const Json& body);
// `stream`: whatever the body says of it.
[[nodiscard]] Result<TgiRequest> ReadTgiRequest(const Json& body, bool stream,
                                                ReadContext& context);
// The service must outlive it.
std::unique_ptr<AnswerWriter> MakeTgiWriter(const GenerationService& service,
                                            const TgiRequest& request);
// {"error", "error_type"}, with the status that the dialect has for it.
HttpReply TgiErrorReply(const Error& error);

}  // namespace lockstep
