// What the server says of itself: its model, its state, its document. Handlers of routes without a
// body. Pure functions, safe from any thread.
#pragma once

#include "server/api/route.h"
#include "server/json/json_text.h"

namespace lockstep {

// GET /v1/models: the model under its own name and its aliases, and the one beside it, {"object":
// "list", "data": [...]}; in Anthropic's form where the header anthropic-version is there.
HttpReply Models(RouteCall& call);
// GET /v1/models/NAME: one entry of that list.
HttpReply OneModel(RouteCall& call);
// Make the two answers from entries of OpenAI's list, which have an id, a time as "created" and,
// where it is known, a "context_length". They are in Anthropic's form where the call asks for it.
HttpReply ModelsReply(const RouteCall& call, Json data);
HttpReply ModelReply(const RouteCall& call, const Json& entry);
// GET /info, in the words of text-generation-inference, or of text-embeddings-inference where the
// model encodes.
HttpReply Info(RouteCall& call);
// GET /props, in the words of llama-server: what editors ask before they use a model.
HttpReply Props(RouteCall& call);
// GET /slots: one for each session, of which the first ones are taken as those that run.
HttpReply Slots(RouteCall& call);
// GET /tokenizer_info, in vLLM's words: what evaluations with a remote tokenizer ask for.
HttpReply TokenizerInfo(RouteCall& call);
// GET /version, in vLLM's words: {"version"}, of this server.
HttpReply Version(RouteCall& call);
HttpReply Live(RouteCall& call);
// {"status", "queued", "running"}, or {"status": "loading", "percent"}; 503 where no request would
// be served. Says nothing of load: a busy server that were taken out would leave the others busier.
HttpReply Ready(RouteCall& call);
HttpReply RenderMetrics(RouteCall& call);
// POST /models/load and /models/unload, which only a parent of several models does.
HttpReply OneModelOnly(RouteCall& call);
HttpReply OpenApi(RouteCall& call);

}  // namespace lockstep
