// A conversation as every dialect reads it: what is said, which tools there are, how much is to be
// thought. Plain structs, each of one request; prepare.h makes a prompt of them.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/api/response_format.h"
#include "server/json/json_text.h"

namespace lockstep {

// These limits bound the prompt, and the grammar, of which each tool is a rule.
inline constexpr size_t kMaxMessages = 4096, kMaxTools = 512, kMaxToolName = 256;

// What a request says of thinking, in whichever dialect. Nothing is as the template has it.
struct Thinking {
  std::optional<bool> enabled;
  std::optional<std::string> effort;  // none, minimal, low, medium, high, xhigh or max
  std::optional<size_t> budget;       // tokens of a thought at most
  bool hidden = false;                // it is not told
};

struct ToolChoice {
  std::string word = "auto";       // none, auto or required
  std::vector<std::string> names;  // of those that may be called; empty: all
  bool named = false;              // one tool, which is called exactly once
  bool parallel = true;            // more than one call in an answer
  bool shown = false;              // with "none", the prompt has the tools all the same
};

struct ToolList {
  // What templates are given: null where there are no tools, else
  // [{"type": "function", "function": {"name", "description", "parameters", "strict"}}].
  Json tools;
  // Where the schema of each tool stands, as errors name it: "tools[3].function.parameters".
  std::vector<std::string> where;
  std::set<std::string> custom;  // those whose one argument, "input", is a text of any form
  bool legacy = false;           // they came as "functions", and answers have "function_call"
};

struct Conversation {
  // Templates know them so: each has "role" (system, developer, user, assistant or tool) and
  // "content" (a string or null). An assistant's may have "reasoning_content" and
  // "tool_calls": [{"id", "type": "function", "function": {"name", "arguments"}}], where arguments
  // are an object, or the text that is none; a tool's "tool_call_id" and "name".
  Json messages;
  ToolList tools;
  ToolChoice choice;
  Thinking thinking;
  AnswerFormat format;           // of the answer behind its thoughts, where it is no call
  Json kwargs = Json::object();  // further variables of the template
  std::string template_name;     // of the model's templates; empty: as the model has it
  std::optional<bool> add_generation_prompt;  // as it was sent
  // The answer goes on with the last message, which is the assistant's. Where nobody says so, it
  // does if it can.
  std::optional<bool> continues;
};

// What the dialect calls the fields, for errors and for what is ignored.
struct FieldNames {
  const char* messages = "messages";
  const char* tools = "tools";
  const char* tool_choice = "tool_choice";
  const char* enabled = "enable_thinking";
  const char* effort = "reasoning_effort";
  const char* budget = "thinking_token_budget";
};

}  // namespace lockstep
