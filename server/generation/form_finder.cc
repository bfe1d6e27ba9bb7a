// A template is a program, so that it is not read but run: on a conversation with a call and on one
// with a text in its place, with one call and with two, with names and values that occur nowhere
// else. What differs is the form of a call:
//
//   text   <|im_start|>assistant\nZQtext<|im_end|>
//   one    <|im_start|>assistant\n<tool_call>\n{"name": "zq_first", "arguments":
//   {...}}\n</tool_call><|im_end|>
//                                 `---- before ----´
//
// and what stands between two calls tells what belongs to each from what belongs to all of them.
#include "server/generation/form_finder.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "server/generation/chat_prompt.h"

namespace lockstep {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr char kText[] = "ZQtext", kThought[] = "ZQthought", kFirst[] = "zq_first",
               kSecond[] = "zq_second", kKey[] = "zq_alpha", kValue[] = "zq beta",
               kOtherKey[] = "zq_gamma", kOtherValue[] = "7193", kId[] = "abcdefgh1";

size_t CommonPrefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}
size_t CommonSuffix(std::string_view a, std::string_view b) {
  size_t size = 0;
  while (size < a.size() && size < b.size() && a[a.size() - 1 - size] == b[b.size() - 1 - size]) {
    ++size;
  }
  return size;
}
std::string_view RightTrimmed(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}
std::string_view LeftTrimmed(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kSpace), text.size()));
}

// The same, from where a word of the form may begin: tags and brackets are not cut.
size_t NaturalSuffix(std::string_view a, std::string_view b) {
  const size_t size = CommonSuffix(a, b);
  const size_t begin = a.substr(a.size() - size).find_first_of("<[{ \n");
  return begin == a.npos ? size : size - begin;
}

// The tag that the text begins with: "<...>" or "[...]", else nothing.
std::string_view TagAtBegin(std::string_view text) {
  if (text.empty() || (text[0] != '<' && text[0] != '[')) return {};
  return text.substr(0, std::min(text.find(text[0] == '<' ? '>' : ']'), text.size() - 1) + 1);
}
std::string_view TagAtEnd(std::string_view text) {
  if (text.empty() || (text.back() != '>' && text.back() != ']')) return {};
  const size_t begin = text.rfind(text.back() == '>' ? '<' : '[');
  return begin == text.npos ? std::string_view() : text.substr(begin);
}

// Where the JSON object at the beginning of the text ends; 0 if there is none.
size_t EndOfObject(std::string_view text) {
  size_t depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (in_text && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      in_text = !in_text;
    } else if (!in_text && text[i] == '{') {
      ++depth;
    } else if (!in_text && text[i] == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return 0;
}

// The conversations that templates are tried on.
class Probe {
 public:
  // Some templates take arguments as a text, some see a call only where there is no content, and
  // some refuse a call without its result.
  Probe(const ChatModel& chat, bool arguments_as_text, bool null_content, bool with_result)
      : chat_(chat),
        arguments_as_text_(arguments_as_text),
        null_content_(null_content),
        with_result_(with_result) {}

  std::optional<std::string> WithText() const {
    return Render({{"role", "assistant"}, {"content", kText}}, 0);
  }
  std::optional<std::string> WithCalls(size_t count) const {
    Json calls = Json::array();
    for (size_t i = 0; i < count; ++i) {
      const Json arguments{{kKey, kValue}, {kOtherKey, 7193}};
      calls.push_back({{"id", Id(i)},
                       {"type", "function"},
                       {"function",
                        {{"name", i == 0 ? kFirst : kSecond},
                         {"arguments", arguments_as_text_ ? Json(Dump(arguments)) : arguments}}}});
    }
    const Json content = null_content_ ? Json(nullptr) : Json("");
    return Render({{"role", "assistant"}, {"content", content}, {"tool_calls", std::move(calls)}},
                  with_result_ ? count : 0);
  }

 private:
  static std::string Id(size_t i) { return i == 0 ? kId : "abcdefgh2"; }

  std::optional<std::string> Render(Json answer, size_t results) const {
    Json messages = Json::array({{{"role", "user"}, {"content", "ZQquestion"}}});
    messages.push_back(std::move(answer));
    for (size_t i = 0; i < results; ++i) {
      messages.push_back({{"role", "tool"},
                          {"tool_call_id", Id(i)},
                          {"name", i == 0 ? kFirst : kSecond},
                          {"content", "ZQresult"}});
    }
    // A message behind it, because some templates treat the last one in a way of its own.
    if (results == 0) messages.push_back({{"role", "user"}, {"content", "ZQquestion"}});
    Json tools = Json::array();
    for (const char* name : {kFirst, kSecond}) {
      const Json schema{{"type", "object"},
                        {"properties",
                         {{kKey, {{"type", "string"}, {"description", "ZQ"}}},
                          {kOtherKey, {{"type", "integer"}, {"description", "ZQ"}}}}},
                        {"required", {kKey}}};
      tools.push_back(
          {{"type", "function"},
           {"function", {{"name", name}, {"description", "ZQ"}, {"parameters", schema}}}});
    }
    auto prompt = RenderChat(chat_, {{"messages", std::move(messages)},
                                     {"tools", std::move(tools)},
                                     {"add_generation_prompt", false}});
    if (!prompt) return std::nullopt;
    return prompt->bytes();
  }

  const ChatModel& chat_;
  const bool arguments_as_text_, null_content_, with_result_;
};

// What stands between the name and the arguments, and which form these have. The size of both
// together, 0 if they are of no form that is known. `text` begins behind the name.
size_t FindArguments(std::string_view text, CallForm* form) {
  const size_t key = text.find(kKey);
  if (key == text.npos || key == 0) return 0;
  const size_t brace = text.rfind('{', key);
  if (text[key - 1] == '"' && brace != text.npos) {
    const size_t size = EndOfObject(text.substr(brace));
    const auto object = ParseStrictObject(text.substr(brace, size));
    if (!object || object->value(kKey, std::string()) != kValue) return 0;
    form->after_name = text.substr(0, brace);
    return brace + size;
  }
  const size_t key_end = key + std::string_view(kKey).size(), value = text.find(kValue, key_end);
  if (value == text.npos) return 0;
  const size_t value_end = value + std::string_view(kValue).size();
  const size_t other = text.find(kOtherKey, value_end);
  if (other == text.npos) return 0;
  const size_t other_end = other + std::string_view(kOtherKey).size();
  const size_t number = text.find(kOtherValue, other_end);
  if (number == text.npos) return 0;
  const size_t number_end = number + std::string_view(kOtherValue).size();
  const std::string_view before = text.substr(0, key),
                         assign = text.substr(key_end, value - key_end),
                         between = text.substr(value_end, other - value_end);
  if (assign.starts_with("=") && before.ends_with("(")) {
    form->arguments = CallForm::Arguments::kPythonic;
    form->after_name = before;
    return number_end;
  }
  if (assign == ":<|\"|>") {
    form->arguments = CallForm::Arguments::kGemma;
    form->after_name = before;
    return number_end;
  }
  form->arguments = CallForm::Arguments::kTagged;
  form->key_before = before.substr(before.size() - NaturalSuffix(before, between));
  form->key_after = assign;
  form->key_after_other = text.substr(other_end, number - other_end);
  form->value_after = between.substr(0, between.size() - form->key_before.size());
  form->after_name = before.substr(0, before.size() - form->key_before.size());
  const bool ends = text.substr(number_end).starts_with(form->value_after);
  // A type that stands with the key is understood where it tells strings from all others.
  const bool typed = assign == form->key_after_other || assign.find("string=") != assign.npos;
  if (form->key_before.empty() || form->value_after.empty() || !ends || !typed) return 0;
  return number_end + form->value_after.size();
}

// How much of `tail`, which is all behind the arguments of the last call, belongs to the calls: up
// to what ends every message. Nothing where that does not come before the next message's text.
std::optional<size_t> EndOfCalls(std::string_view tail, std::string_view behind_text) {
  const size_t at = behind_text.find_first_of("<[");
  if (at == behind_text.npos) return std::nullopt;
  const size_t end = tail.find(TagAtBegin(behind_text.substr(at)));
  if (end == tail.npos || tail.substr(0, end).find("ZQ") != tail.npos) return std::nullopt;
  const std::string_view calls = tail.substr(0, end), space = behind_text.substr(0, at);
  return RightTrimmed(calls.ends_with(space) ? calls.substr(0, end - at) : calls).size();
}

// Splits what stands before, between and behind calls into what belongs to each of them and what to
// all. `between` is empty where there can be one call only, and `behind` is nothing where the end
// of calls was not found: then a call that ends with a tag of its own is enough.
bool SplitCalls(std::string_view before, std::string_view between,
                const std::optional<std::string_view>& behind, CallForm* form) {
  form->many = !between.empty();
  const size_t own = form->many ? NaturalSuffix(before, between) : before.size();
  form->opens = before.substr(0, before.size() - own);
  form->before_name = before.substr(before.size() - own);
  const std::string_view rest = form->many ? between.substr(0, between.size() - own) : between;
  const std::string_view call_end = RightTrimmed(rest);
  if (!behind && !call_end.ends_with('>')) return false;
  size_t after = !behind      ? call_end.size()
                 : form->many ? CommonPrefix(rest, *behind)
                              : behind->size();
  while (after > 0 && after < rest.size() && (rest[after] & 0xC0) == 0x80) --after;
  form->after = behind ? behind->substr(0, after) : call_end;
  form->between = rest.substr(std::min(after, rest.size()));
  form->closes = behind ? behind->substr(after) : std::string_view();
  return true;
}

// Mistral's ids stand behind the arguments, where a model may leave them out; ids in another place
// would have to be made up by the model, which no form has.
bool TakeId(CallForm* form) {
  const std::string id = ", \"id\": \"" + std::string(kId) + "\"";
  if (const size_t at = form->after.find(id); at != std::string::npos)
    form->after.erase(at, id.size());
  form->mistral = Marker(*form) == "[TOOL_CALLS]";
  return Literals(*form).find(kId) == std::string::npos;
}

std::optional<CallForm> FindByDifference(const Probe& probe) {
  const auto text = probe.WithText(), one = probe.WithCalls(1), two = probe.WithCalls(2);
  if (!text || !one) return std::nullopt;
  const std::string_view call = *one;
  const size_t begin = CommonPrefix(call, *text), name = call.find(kFirst, begin);
  const size_t shown = text->find(kText);
  if (name == call.npos || shown == text->npos) return std::nullopt;
  CallForm form;
  const size_t arguments = name + std::string_view(kFirst).size();
  const size_t size = FindArguments(call.substr(arguments), &form);
  if (size == 0) return std::nullopt;
  const size_t end = arguments + size;
  const std::string_view tail = call.substr(end);
  const auto closed =
      EndOfCalls(tail, std::string_view(*text).substr(shown + std::string_view(kText).size()));
  std::optional<std::string_view> behind;
  if (closed) behind = tail.substr(0, *closed);
  std::string_view between;
  if (two && std::string_view(*two).starts_with(call.substr(0, end))) {
    const size_t second = two->find(kSecond, end);
    if (second != two->npos) between = std::string_view(*two).substr(end, second - end);
  }
  const std::string_view before = LeftTrimmed(call.substr(begin, name - begin));
  const bool opens =
      !before.empty() && std::string_view("<[{").find(before[0]) != std::string_view::npos;
  if (!opens || !SplitCalls(before, between, behind, &form) || !TakeId(&form)) return std::nullopt;
  return form;
}

bool IsHarmony(const ChatModel& chat) {
  const auto has = [&](const char* word) { return chat.source.find(word) != std::string::npos; };
  return has("<|start|>") && has("<|channel|>") && has("<|message|>");
}

std::shared_ptr<const CallForm> FindCallForm(const ChatModel& chat) {
  if (IsHarmony(chat)) return std::make_shared<const CallForm>(HarmonyForm());
  for (const bool as_text : {false, true}) {
    for (const bool null_content : {false, true}) {
      for (const bool with_result : {false, true}) {
        auto form = FindByDifference(Probe(chat, as_text, null_content, with_result));
        if (!form) continue;
        form->arguments_as_text = as_text;
        form->null_content = null_content;
        return std::make_shared<const CallForm>(*std::move(form));
      }
    }
  }
  // A template may describe its tools and leave calls out, or show them in part.
  CallForm form;
  for (const bool with_result : {true, false}) {
    const Probe probe(chat, false, false, with_result);
    const auto text = probe.WithText(), call = probe.WithCalls(1);
    for (const auto& rendered : {call, text}) {
      if (!rendered || !FindDescribedForm(*rendered, &form)) continue;
      form.unshown = call && call->find(kValue) == std::string::npos;
      return std::make_shared<const CallForm>(form);
    }
  }
  return nullptr;
}

constexpr std::string_view kThoughtWords[] = {"think", "THINK", "thought", "reason", "inner"};

// Whether a history's calls are in the prompt.
bool ShowsCalls(const ChatModel& chat) {
  for (const bool null_content : {false, true}) {
    for (const bool with_result : {true, false}) {
      const auto call = Probe(chat, false, null_content, with_result).WithCalls(1);
      if (call && call->find(kValue) != std::string::npos) return true;
    }
  }
  return false;
}

// The tags around a thought that the template renders.
ThoughtTags FindRenderedTags(const ChatModel& chat) {
  const Json messages = Json::array({{{"role", "user"}, {"content", "ZQquestion"}},
                                     {{"role", "assistant"},
                                      {"content", kText},
                                      {"reasoning_content", kThought},
                                      {"thinking", kThought}}});
  const auto prompt = RenderChat(chat, {{"messages", messages}, {"add_generation_prompt", false}});
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
    const auto on = RenderChat(chat, variables);
    variables[name] = false;
    const auto off = RenderChat(chat, variables);
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

}  // namespace

AnswerForms FindForms(const ChatModel& chat,
                      const std::function<bool(std::string_view)>& is_token) {
  AnswerForms forms;
  forms.calls = FindCallForm(chat);
  forms.shows_calls = forms.calls != nullptr ? !forms.calls->unshown : ShowsCalls(chat);
  forms.thought_switch = FindSwitch(chat);
  forms.harmony = IsHarmony(chat);
  forms.thought_shown = true;
  if (forms.harmony) {
    forms.thought = {"<|channel|>analysis<|message|>", "<|end|>", false};
    return forms;
  }
  forms.thought = FindRenderedTags(chat);
  if (!forms.thought.close.empty()) return forms;
  const auto shows = [&](std::string_view word) {
    return chat.source.find(word) != std::string::npos;
  };
  for (const auto& [open, close] : kThoughtTags) {
    const bool shown = shows(open) && shows(close);
    if (!shown && !(is_token(open) && is_token(close))) continue;
    forms.thought = {std::string(open), std::string(close), false};
    forms.thought_shown = shown;
    return forms;
  }
  forms.thought_shown = false;
  return forms;
}

std::string Literals(const AnswerForms& forms) {
  return forms.thought.open + forms.thought.close +
         (forms.harmony ? Literals(HarmonyForm()) + "<|channel|>analysis" : "") +
         Literals(forms.calls != nullptr ? *forms.calls : HermesForm());
}

}  // namespace lockstep
