// Ollama's routes that are about models and not about texts. There is one model here, which came
// from a file: it is listed and shown out of the file's header, and what would change it is refused
// by name. Pure functions, safe from any thread.
#pragma once

#include <string>

#include "server/api/dialect.h"
#include "server/api/route.h"

namespace lockstep {

// GET /api/tags, /api/ps, /api/version.
HttpReply OllamaTags(RouteCall& call);
HttpReply OllamaRunning(RouteCall& call);
HttpReply OllamaVersion(RouteCall& call);
// POST /api/show {"model"}: what the header says.
[[nodiscard]] Result<std::string> AnswerOllamaShow(const Json& body, ReadContext& context);
// POST /api/pull {"model", "stream"}, which generates nothing: the model that is here is pulled
// already, and no other can be.
extern const Dialect kOllamaPull;
// POST /api/create, copy, push, blobs/, DELETE /api/delete: a 501 that says why not.
HttpReply OllamaNoLibrary(RouteCall& call);

}  // namespace lockstep
