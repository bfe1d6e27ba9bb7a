// Errors in the form of Anthropic's API: {"type": "error", "error": {"type", "message"},
// "request_id"}. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "server/http/http_types.h"

namespace lockstep {

// Whether the path is one of Anthropic's, of a route or not.
bool IsAnthropicPath(std::string_view path);

// Gives a reply on such a path the header request-id and, if it is an error in OpenAI's form, the
// form of Anthropic's. A 503 becomes a 529, by which its clients know a server that is overloaded.
void PutInAnthropicForm(HttpReply& reply, std::string_view request_id);

// The body alone, for an event of a stream.
std::string RenderAnthropicError(const Error& error, std::string_view request_id);

}  // namespace lockstep
