// Conversations in forms that a template takes which refuses them as they are. Pure functions.
#pragma once

#include "server/generation/call_form.h"
#include "server/json/json_text.h"

namespace lockstep {

// Further names and forms of what messages have: thoughts also as "thinking", arguments of calls as
// texts, "developer" as "system".
struct MessageWishes {
  bool developer = false;  // the template knows the role
  bool thinking = false;
  bool arguments_as_text = false;
  bool null_content = false;  // where a message has calls and no text
  bool ids_of_names = false;  // "functions.NAME:0" and so on
};
void AdaptFields(const MessageWishes& wishes, Json* messages);

// An empty description and an empty schema for each function without, which templates want to
// print. False if that changes nothing.
bool CompleteFunctions(Json* tools);
// A single type in the place of each list of types in the functions' schemas, which templates spell
// out by macros of their own. False if that changes nothing.
bool SimplifyTypes(Json* tools);
// Ids of calls as Mistral's templates insist on, nine letters and digits, in the order in which
// they come. False if that changes nothing.
bool ShortenIds(Json* messages);
// All system messages as one at the beginning. False if that changes nothing.
bool MergeSystem(Json* messages);
// No system message: its text stands before the first user's, who begins, be it with nothing.
// Messages of one role that follow each other are one. False if that changes nothing.
bool MergeTurns(Json* messages);

// Calls as text of their form, for a template that leaves them out. False if there are none.
bool CallsAsText(const CallForm& form, Json* messages);
// Calls and results as text, for a template that knows neither: calls as the generic form has them,
// results as the user's. False if there are none.
bool ToolsAsText(Json* messages);
// Adds the paragraph that describes the tools and how to call them to the system message.
void DescribeTools(const Json& tools, Json* messages);

}  // namespace lockstep
