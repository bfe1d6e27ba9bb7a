// The way of every request with a body: from JSON to a reply, in whichever dialect. Thread-safe;
// the service must outlive the replies.
#pragma once

#include <string>

#include "server/api/dialect.h"
#include "server/api/route.h"

namespace lockstep {

// Blocks for as long as a generation takes, or until its stream begins.
HttpReply GenerateIn(const Dialect& dialect, RouteCall& call);
template <const Dialect& kDialect>
HttpReply Generate(RouteCall& call) {
  return GenerateIn(kDialect, call);
}
// POST /generate: the server's own dialect, or TGI's if there are "inputs".
HttpReply GenerateNativeOrTgi(RouteCall& call);

// POST /completions: OpenAI's dialect, of clients whose address lacks /v1, or llama-server's where
// a field is its own.
HttpReply GenerateOpenAiOrLlama(RouteCall& call);

// The reply's text to a body that asks for no generation.
using Answerer = Result<std::string> (*)(const Json& body, ReadContext& context);
HttpReply AnswerAtOnceBy(Answerer answer, RouteCall& call);
template <Answerer kAnswer>
HttpReply AnswerAtOnce(RouteCall& call) {
  return AnswerAtOnceBy(kAnswer, call);
}

}  // namespace lockstep
