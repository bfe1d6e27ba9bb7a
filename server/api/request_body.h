// What every route with a body begins and ends with: the body as JSON, what is known of the
// caller, and the headers of the reply. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/api/route.h"

namespace lockstep {

// What reading a request makes of a byte of its text, besides the parsed JSON: copies of messages
// for the chat template, of the prompt, of a schema and its grammar.
inline constexpr size_t kReadingCopies = 6;

// A body, and the memory for it and for what is made of it.
struct Body {
  Json json;
  MemoryBudget::Share memory;
};

// Empty if the body may be read as JSON; else what to send instead. Ollama reads JSON whatever it
// is called, and what its users know by heart is curl -d, which calls it a form. A browser, which
// sends forms to this machine on behalf of any page, says so by the header Origin.
std::string ContentTypeProblem(const HttpRequest& request);

// The body as JSON, and the caller's own deadlines; else the reply that says why not.
tl::expected<Body, HttpReply> ReadBody(const HttpRequest& request, Caller& caller,
                                       MemoryBudget* budget);
// `strict_dialect`: unknown fields are refused whatever the settings say.
ReadContext ContextOf(const RouteCall& call, bool strict_dialect, MemoryBudget::Share memory);

// Adds the header x-ignored-params, which names what took no effect, so that a client that counts
// on it can tell. What does not fit is counted.
HttpReply WithIgnored(HttpReply reply, const std::vector<std::string>& ignored);
// Adds what the reply says beside its body: that header, and those that the context has gathered.
HttpReply WithHeaders(HttpReply reply, const ReadContext& context);

}  // namespace lockstep
