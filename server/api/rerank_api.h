// Documents in the order in which they answer a query: POST /rerank and /v1/rerank in the forms of
// Jina's, Cohere's and text-embeddings-inference's APIs, /v2/rerank, and /score in vLLM's. Pure
// functions, safe from any thread.
#pragma once

#include "server/api/encode_api.h"

namespace lockstep {

extern const EncodeDialect kRerank;     // {"query", "documents"}
extern const EncodeDialect kTeiRerank;  // {"query", "texts"}
extern const EncodeDialect kScore;

// POST /rerank and /v1/rerank: text-embeddings-inference's form if there are "texts".
HttpReply Rerank(RouteCall& call);

}  // namespace lockstep
