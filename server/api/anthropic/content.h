// The system prompt and the messages of Anthropic's API, from blocks of content to what chat
// templates are given. Pure functions, safe from any thread.
#pragma once

#include <set>
#include <string>

#include "server/api/request_fields.h"

namespace lockstep {

struct MessageContent {
  Json messages = Json::array();  // as Conversation has them
  // The tools that were called, or that a result or a system message refers to: a client that
  // defers the loading of its tools wants the model to know these from here on.
  std::set<std::string> loaded_tools;
};

// "system" and "messages". Texts of a turn, and turns of one role that follow each other, are
// joined by line breaks, so that a list of blocks, the same text as a string and the same text in
// two turns make one prompt. The result of a tool is a message of its own; one that is an error
// says so. What other servers' tools left in a history is named as ignored; what the model cannot
// read, such as an image, is an error. The billing header that Claude Code puts before its system
// prompt, and changes with each request, is left out: no prompt would begin as an earlier one.
MessageContent ReadMessageContent(FieldReader& fields, ReadContext& context);

// What stands as "signature" beside a thought that was sent to the client, and with `omitted` the
// thought itself, which the client then sends back without having shown it.
std::string ThoughtSignature(const std::string& thought, bool omitted);

}  // namespace lockstep
