// Tools in a chat: what the request allows becomes a grammar, and the calls in an answer's text
// become the fields that clients read. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "server/api/openai/chat_request.h"
#include "server/generation/tool_calls.h"

namespace lockstep {

// tool_choice and parallel_tool_calls, after the tools themselves and response_format were read.
// With tool_choice "none" the model does not see the tools. Else arguments are bound to their
// schemas, and of the answer that is no call the response_format still holds.
void ReadToolChoice(FieldReader& fields, ReadContext& context, ChatRequest& request);

// A message with the text's calls of tools in "tool_calls" and the rest in "content".
Json WithToolCalls(Json message, ToolStyle style, std::string_view text);
bool HasToolCalls(ToolStyle style, std::string_view text);
// "delta" of a stream: text, the beginning of a call with its id and name, or more arguments.
Json ToolDeltaJson(ToolStyle style, const ToolDelta& delta);

}  // namespace lockstep
