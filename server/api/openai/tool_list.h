// The tools that a chat offers, in whichever form a client sends them. Pure functions, safe from
// any thread.
#pragma once

#include <set>
#include <string>

#include "server/api/request_fields.h"

namespace lockstep {

// OpenAI has the same limit on tools, of which each is a rule of the grammar and a part of the
// prompt.
inline constexpr size_t kMaxTools = 128, kMaxToolName = 256;

struct ToolList {
  // What templates are given: functions all of them, null where there are none. A tool of type
  // "custom" is a function whose one argument, "input", is its text.
  Json tools;
  std::set<std::string> custom;  // the names of those
  bool legacy = false;           // they came as "functions", and answers have "function_call"
};

// tools and functions, of which a request may have one. The tools come checked, without their
// fields that are null, and otherwise as they were: templates render them as JSON.
ToolList ReadTools(FieldReader& fields, ReadContext& context);

}  // namespace lockstep
