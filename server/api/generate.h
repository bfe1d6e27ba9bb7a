// The way of every request with a body: from JSON to a reply, in whichever dialect. Thread-safe;
// the service must outlive the replies.
#pragma once

#include <string>

#include "server/api/dialect.h"
#include "server/api/route.h"

namespace lockstep {

// Which dialect a body is in: always the same one, for most paths.
template <const Dialect& kDialect>
const Dialect& Always(const Json&) {
  return kDialect;
}
// POST /generate: the server's own, or TGI's if there are "inputs".
const Dialect& NativeOrTgi(const Json& body);
// POST /completions: OpenAI's, of clients whose address lacks /v1, or llama-server's where a field
// is its own.
const Dialect& OpenAiOrLlama(const Json& body);

// Blocks for as long as a generation takes, or until its stream begins.
HttpReply GenerateIn(DialectChoice choose, RouteCall& call);
template <DialectChoice kDialect>
HttpReply Generate(RouteCall& call) {
  return GenerateIn(kDialect, call);
}

// The reply's text to a body that asks for no generation.
using Answerer = Result<std::string> (*)(const Json& body, ReadContext& context);
HttpReply AnswerAtOnceBy(Answerer answer, RouteCall& call);
template <Answerer kAnswer>
HttpReply AnswerAtOnce(RouteCall& call) {
  return AnswerAtOnceBy(kAnswer, call);
}
// The same where nothing but tokens is asked for, which the model that makes vectors has, too: of
// the two that there may be, the one that "model" names answers.
HttpReply AnswerOfEitherBy(Answerer answer, RouteCall& call);
template <Answerer kAnswer>
HttpReply AnswerOfEither(RouteCall& call) {
  return AnswerOfEitherBy(kAnswer, call);
}

}  // namespace lockstep
