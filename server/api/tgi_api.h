// The dialect of Hugging Face's text-generation-inference: {"inputs", "parameters"[, "stream"]} on
// POST /generate, /generate_stream and /. Pure functions, safe from any thread.
#pragma once

#include "server/api/dialect.h"

namespace lockstep {

// How an error looks in Hugging Face's dialects.
struct ErrorShape {
  int status;
  const char* type;
};
HttpReply ShapedErrorReply(const Error& error, const ErrorShape& shape);

// Whether a body to /generate is of this dialect.
bool IsTgiRequest(const Json& body);

// POST /generate: streamed if the body says so.
extern const Dialect kTgi;
// POST /generate_stream: streamed whatever the body says.
extern const Dialect kTgiStream;
// POST /, where clients that know nothing but an address send it: what is not streamed stands in a
// list of one.
extern const Dialect kTgiList;

}  // namespace lockstep
