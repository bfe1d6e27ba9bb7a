// The input of /v1/responses as the messages of a conversation. Pure functions, safe from any
// thread.
#pragma once

#include "server/api/openai/responses_tools.h"
#include "server/api/request_fields.h"

namespace lockstep {

// What marks a thought in "encrypted_content", which is there for clients that keep nothing else of
// it: the rest is the thought itself.
inline constexpr std::string_view kPlainThought = "lockstep:";

// instructions and input. What items say belongs to messages as an answer has it: a thought, a text
// and calls that follow each other are one message of the assistant. Results of the tools that the
// client runs become messages of tools, whichever kind of tool it was; items of tools that ran on
// OpenAI's servers are left out and named as ignored, and tools that came later are added to
// `tools`. `history` are items that come before the input, and *own becomes a list of the input's,
// in which items that stand for others are those themselves.
Json ReadResponsesInput(FieldReader& fields, ReadContext& context, const Json& history,
                        ResponsesTools* tools, Json* own);

}  // namespace lockstep
