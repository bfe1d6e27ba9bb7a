// Servers have named the same three wishes, whether, how much and at most how much, each in its own
// way; what a client repeats under several names it takes from one setting, so that the last of
// them wins and none is an error.
#include "server/api/openai/thinking_fields.h"

#include <cstdint>
#include <string>

namespace lockstep {
namespace {

void ReadBudget(FieldReader& fields, std::string_view name, Thinking* thinking) {
  int64_t budget = 0;
  if (!fields.Integer(name, -1, INT32_MAX, &budget)) return;
  if (budget < 0) {
    thinking->budget.reset();
  } else {
    thinking->budget = static_cast<size_t>(budget);
  }
}

void ReadEnabled(FieldReader& fields, std::string_view name, Thinking* thinking) {
  bool enabled = false;
  if (fields.Bool(name, &enabled)) thinking->enabled = enabled;
}

void ReadEffort(FieldReader& fields, std::string_view name, Thinking* thinking) {
  std::string effort;
  if (fields.Text(name, &effort)) thinking->effort = effort;
}

}  // namespace

void ReadThinking(FieldReader& fields, ReadContext& context, Thinking* thinking) {
  ReadEffort(fields, "reasoning_effort", thinking);
  ReadEnabled(fields, "enable_thinking", thinking);
  fields.Object("reasoning", "must be an object", context.unknown(), [&](FieldReader& reasoning) {
    ReadEffort(reasoning, "effort", thinking);
    ReadEnabled(reasoning, "enabled", thinking);
    ReadBudget(reasoning, "max_tokens", thinking);
    reasoning.Bool("exclude", &thinking->hidden);
    if (reasoning.Has("summary")) context.ignored.push_back(reasoning.Full("summary"));
  });
  fields.Object("thinking", "must be an object with a type", context.unknown(),
                [&](FieldReader& form) {
                  std::string type;
                  if (form.Text("type", &type)) thinking->enabled = type != "disabled";
                  ReadBudget(form, "budget_tokens", thinking);
                });
  ReadBudget(fields, "thinking_token_budget", thinking);
  ReadBudget(fields, "reasoning_budget_tokens", thinking);
  bool include = true;
  if (fields.Bool("include_reasoning", &include) && !include) thinking->hidden = true;
  if (fields.Has("reasoning_format")) context.ignored.emplace_back("reasoning_format");
}

}  // namespace lockstep
