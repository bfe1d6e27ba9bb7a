// Every family has a switch of its own, or none. The order is: the template's word for an effort,
// its switch, and what works for every model that thinks, a budget that closes the thought.
#include "server/api/chat/plan_thought.h"

#include <string>
#include <string_view>

namespace lockstep {
namespace {

// The tokens of efforts that no template word stands for. More than these is without a limit.
std::optional<size_t> BudgetOf(std::string_view effort) {
  if (effort == "minimal") return 256;
  if (effort == "low") return 1024;
  if (effort == "medium") return 4096;
  return std::nullopt;
}

// The nearest effort that the template names: most know three of them.
std::string NearestEffort(const ChatModel& model, const std::string& effort) {
  if (Knows(model, "'" + effort + "'") || Knows(model, "\"" + effort + "\"")) return effort;
  if (effort == "xhigh" || effort == "max") return "high";
  if (effort == "minimal" || effort == "none") return "low";
  return effort;
}

}  // namespace

bool Knows(const ChatModel& model, std::string_view name) {
  return model.source.find(name) != std::string::npos;
}

ThoughtPlan PlanThought(const ChatModel& model, const Thinking& thinking, const FieldNames& names,
                        ReadContext& context, Json* values) {
  ThoughtPlan plan;
  const bool thinks = !model.forms.thought.close.empty();
  std::optional<bool> enabled = thinking.enabled;
  const auto kwarg = values->find("enable_thinking");
  if (!enabled && kwarg != values->end() && kwarg->is_boolean()) enabled = kwarg->get<bool>();
  const std::string& own = model.forms.thought_switch;
  const auto set = [values](const std::string& name, const Json& value) {
    if (!values->contains(name)) (*values)[name] = value;
  };
  if (thinking.effort) {
    const std::string& effort = *thinking.effort;
    const bool lowest = effort == "none" || (effort == "minimal" && !own.empty());
    if (Knows(model, "reasoning_effort")) {
      set("reasoning_effort", NearestEffort(model, effort));
    } else if (own.empty() && !thinks) {
      context.ignored.emplace_back(names.effort);
    } else {
      plan.budget = lowest ? std::nullopt : BudgetOf(effort);
    }
    if (!enabled && (lowest || !own.empty())) enabled = !lowest;
  }
  if (enabled && !own.empty()) set(own, *enabled);
  plan.off = enabled == false;
  if (plan.off && own.empty() && thinks) plan.budget = 0;
  if (thinking.enabled && own.empty() && !thinks) context.ignored.emplace_back(names.enabled);
  if (thinking.budget) {
    plan.budget = *thinking.budget;
    if (Knows(model, "thinking_budget")) set("thinking_budget", *thinking.budget);
    if (!thinks) context.ignored.emplace_back(names.budget);
  }
  if (!thinks) plan.budget.reset();
  return plan;
}

}  // namespace lockstep
