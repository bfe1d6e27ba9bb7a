// The tools of /v1/responses, which are flat, may come in namespaces, and are in part meant for
// OpenAI's own servers. Pure functions, safe from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

struct ResponsesTools {
  struct Name {
    std::string space, name;
  };
  ToolList list;
  // What the client calls those that it has in namespaces, by their names in the prompt.
  std::map<std::string, Name> spaced;
};

// Templates and grammars know no namespaces: the prompt has both names in one.
std::string NameInPrompt(std::string_view space, std::string_view name);

// Adds the tools of a list that is called `where`. Functions, custom tools whose input can be
// bound, and namespaces of these are tools; others run on OpenAI's servers, and are named as
// ignored. A tool that is there already is an error, or, if `again` says that lists may repeat it,
// left out.
void AddResponsesTools(const Json& list, std::string_view where, bool again, FieldReader& fields,
                       ReadContext& context, ResponsesTools* tools);

// tool_choice and parallel_tool_calls, after the tools. What cannot be called is left out of
// "allowed_tools", and refused where it must be called.
ToolChoice ReadResponsesToolChoice(FieldReader& fields, ReadContext& context,
                                   const ResponsesTools& tools);

}  // namespace lockstep
