// Thoughts stand between tags, and a variable turns them on and off: both are found, as calls are
// (call_finder.cc), by running the template.
#include "server/generation/form_finder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/generation/call_finder.h"
#include "server/generation/chat_prompt.h"
#include "server/generation/tag_text.h"

namespace lockstep {
namespace {

constexpr char kText[] = "ZQtext", kThought[] = "ZQthought";
constexpr std::string_view kThoughtWords[] = {"think", "THINK", "thought", "reason", "inner"};

// The tags around a thought that the template renders.
ThoughtTags FindRenderedTags(const ChatModel& chat) {
  const Json messages = Json::array({{{"role", "user"}, {"content", "ZQquestion"}},
                                     {{"role", "assistant"},
                                      {"content", kText},
                                      {"reasoning_content", kThought},
                                      {"thinking", kThought}}});
  const auto prompt =
      RenderChat(chat, {{"messages", messages}, {"add_generation_prompt", false}}, kProbeLimits);
  if (!prompt) return {};
  const std::string_view bytes = prompt->bytes();
  const size_t at = bytes.find(kThought);
  if (at == bytes.npos) return {};
  const std::string_view open = TagAtEnd(RightTrimmed(bytes.substr(0, at)));
  const std::string_view close =
      TagAtBegin(LeftTrimmed(bytes.substr(at + std::string_view(kThought).size())));
  // A template may show thoughts as messages like any other; then there is no tag of their own.
  const bool own = std::ranges::any_of(
      kThoughtWords, [open](std::string_view word) { return open.find(word) != open.npos; });
  if (!own || close.empty()) return {};
  return {std::string(open), std::string(close), false};
}

// The variable that changes what a question becomes.
std::string FindSwitch(const ChatModel& chat) {
  const Json question = Json::array({{{"role", "user"}, {"content", "ZQquestion"}}});
  for (const char* name : {"enable_thinking", "thinking"}) {
    Json variables{{"messages", question}, {"add_generation_prompt", true}, {name, true}};
    const auto on = RenderChat(chat, variables, kProbeLimits);
    variables[name] = false;
    const auto off = RenderChat(chat, variables, kProbeLimits);
    if (on && off && on->bytes() != off->bytes()) return name;
  }
  return {};
}

constexpr std::pair<std::string_view, std::string_view> kThoughtTags[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<|channel>thought", "<channel|>"},
    {"<seed:think>", "</seed:think>"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<|inner_prefix|>", "<|inner_suffix|>"},
    {"◁think▷", "◁/think▷"},
    {"<thinking>", "</thinking>"},
    {"<reasoning>", "</reasoning>"},
};

// Sets the tags of thoughts, and whether the template shows them.
void FindThought(const ChatModel& chat, const std::function<bool(std::string_view)>& is_token,
                 AnswerForms* forms) {
  forms->thought_shown = true;
  if (forms->harmony) {
    forms->thought = {"<|channel|>analysis<|message|>", "<|end|>", false};
    return;
  }
  forms->thought = FindRenderedTags(chat);
  if (!forms->thought.close.empty()) return;
  const auto shows = [&](std::string_view word) {
    return chat.source.find(word) != std::string::npos;
  };
  for (const auto& [open, close] : kThoughtTags) {
    const bool shown = shows(open) && shows(close);
    if (!shown && !(is_token(open) && is_token(close))) continue;
    forms->thought = {std::string(open), std::string(close), false};
    forms->thought_shown = shown;
    return;
  }
  forms->thought_shown = false;
}

}  // namespace

AnswerForms FindForms(const ChatModel& chat,
                      const std::function<bool(std::string_view)>& is_token) {
  AnswerForms forms;
  forms.harmony = IsHarmony(chat);
  FindThought(chat, is_token, &forms);
  forms.calls = FindCallForm(chat, forms.thought);
  forms.shows_calls = forms.calls != nullptr ? !forms.calls->unshown : ShowsCalls(chat);
  forms.thought_switch = FindSwitch(chat);
  return forms;
}

std::string Literals(const AnswerForms& forms) {
  return forms.thought.open + forms.thought.close +
         (forms.harmony ? Literals(HarmonyForm()) + "<|channel|>analysis" : "") +
         Literals(forms.calls != nullptr ? *forms.calls : HermesForm());
}

}  // namespace lockstep
