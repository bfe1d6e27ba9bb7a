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
#include "server/generation/call_finder.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/generation/chat_prompt.h"
#include "server/generation/tag_text.h"

namespace lockstep {
namespace {

constexpr char kText[] = "ZQtext", kFirst[] = "zq_first", kSecond[] = "zq_second",
               kKey[] = "zq_alpha", kValue[] = "zq beta", kOtherKey[] = "zq_gamma",
               kOtherValue[] = "7193";
constexpr std::string_view kIds[] = {"abcdefgh1", "abcdefgh2"};

// The ids that the probes have given, as what any id is.
std::string WithAnyIds(std::string_view text) {
  std::string out(text);
  for (const std::string_view id : kIds) {
    for (size_t at = out.find(id); at != out.npos; at = out.find(id, at)) {
      out.replace(at, id.size(), 1, kAnyId);
    }
  }
  return out;
}

// Numbers in which the ends of the two differ and nothing else count calls.
void UnifyCounters(std::string* a, std::string* b) {
  const auto digits = [](const std::string& text, size_t end) {
    size_t begin = end;
    while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
    return end - begin;
  };
  size_t i = a->size(), j = b->size();
  while (i > 0 && j > 0) {
    if ((*a)[i - 1] == (*b)[j - 1]) {
      --i, --j;
      continue;
    }
    const size_t in_a = digits(*a, i), in_b = digits(*b, j);
    if (in_a == 0 || in_b == 0) return;
    a->replace(i -= in_a, in_a, 1, kCounter);
    b->replace(j -= in_b, in_b, 1, kCounter);
  }
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
  // Some templates take arguments as a text, some see a call only where there is no content, some
  // refuse a call without its result.
  struct Ways {
    bool arguments_as_text = false, null_content = false, with_result = false;
    bool ids_of_names = false;  // or show a call's id in the place of its name
  };
  Probe(const ChatModel& chat, Ways ways) : chat_(chat), ways_(ways) {}

  std::optional<std::string> WithText() const {
    return Render({{"role", "assistant"}, {"content", kText}}, 0);
  }
  std::optional<std::string> WithCalls(size_t count) const {
    Json calls = Json::array();
    for (size_t i = 0; i < count; ++i) {
      const Json arguments{{kKey, kValue}, {kOtherKey, 7193}};
      calls.push_back(
          {{"id", Id(i)},
           {"type", "function"},
           {"function",
            {{"name", i == 0 ? kFirst : kSecond},
             {"arguments", ways_.arguments_as_text ? Json(Dump(arguments)) : arguments}}}});
    }
    const Json content = ways_.null_content ? Json(nullptr) : Json("");
    return Render({{"role", "assistant"}, {"content", content}, {"tool_calls", std::move(calls)}},
                  ways_.with_result ? count : 0);
  }

 private:
  std::string Id(size_t i) const {
    if (!ways_.ids_of_names) return std::string(kIds[i]);
    return i == 0 ? std::string("functions.") + kFirst + ":0"
                  : std::string("functions.") + kSecond + ":1";
  }

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
    auto prompt = RenderChat(chat_,
                             {{"messages", std::move(messages)},
                              {"tools", std::move(tools)},
                              {"add_generation_prompt", false}},
                             kProbeLimits);
    if (!prompt) return std::nullopt;
    return prompt->bytes();
  }

  const ChatModel& chat_;
  const Ways ways_;
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
// Where a call ends with a tag of its own only the first tag behind a text is looked for: another
// one might belong to what follows calls alone.
std::optional<size_t> EndOfCalls(std::string_view tail, std::string_view behind_text, bool tagged) {
  const size_t next = std::min(behind_text.find("ZQ"), behind_text.size());
  for (size_t at = behind_text.find_first_of("<["); at < next;
       at = behind_text.find_first_of("<[", at + 1)) {
    const size_t end = tail.find(TagAtBegin(behind_text.substr(at)));
    if (end != tail.npos && tail.substr(0, end).find("ZQ") == tail.npos) {
      const std::string_view calls = tail.substr(0, end), space = behind_text.substr(0, at);
      return RightTrimmed(calls.ends_with(space) ? calls.substr(0, end - at) : calls).size();
    }
    if (tagged) break;
  }
  return std::nullopt;
}

// Splits what stands before, between and behind calls into what belongs to each of them and what to
// all. `between` is empty where there can be one call only, and `behind` is nothing where the end
// of calls was not found: then a call that ends with a tag of its own is enough.
bool SplitCalls(std::string_view before, std::string_view between,
                const std::optional<std::string>& behind, CallForm* form) {
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

// Space at the front of the text.
std::string_view SpaceAtBegin(std::string_view text) {
  return text.substr(0, text.size() - LeftTrimmed(text).size());
}

// Mistral's ids stand behind the arguments, where a model may leave them out.
void TakeId(CallForm* form) {
  const std::string id = std::string(", \"id\": \"") + kAnyId + "\"";
  if (const size_t at = form->after.find(id); at != std::string::npos)
    form->after.erase(at, id.size());
  form->mistral = Marker(*form) == "[TOOL_CALLS]";
}

// What stands between two calls, from the arguments of the first to the name of the second, and
// between its name and its arguments. `end` is where the first call's arguments end.
struct SecondCall {
  std::string between, after_name;
};
SecondCall FindSecond(std::string_view one, const std::optional<std::string>& two, size_t end) {
  SecondCall second;
  if (!two || !std::string_view(*two).starts_with(one.substr(0, end))) return second;
  const size_t name = two->find(kSecond, end);
  if (name == two->npos) return second;
  second.between = WithAnyIds(std::string_view(*two).substr(end, name - end));
  CallForm form;
  FindArguments(std::string_view(*two).substr(name + std::string_view(kSecond).size()), &form);
  second.after_name = WithAnyIds(form.after_name);
  return second;
}

// Behind a thought, which templates put before calls even where it is empty.
std::string_view WithoutThought(std::string_view text, const ThoughtTags& tags) {
  const size_t close = text.find(tags.close);
  if (tags.open.empty() || !text.starts_with(tags.open) || close == text.npos) return text;
  return LeftTrimmed(text.substr(close + tags.close.size()));
}

std::optional<CallForm> FindByDifference(const Probe& probe, const ThoughtTags& thought) {
  const auto text = probe.WithText(), one = probe.WithCalls(1), two = probe.WithCalls(2);
  if (!text || !one) return std::nullopt;
  const std::string_view call = *one;
  const size_t begin = CommonBegin(call, *text), name = call.find(kFirst, begin);
  const size_t shown = text->find(kText);
  if (name == call.npos || shown == text->npos) return std::nullopt;
  CallForm form;
  const size_t arguments = name + std::string_view(kFirst).size();
  const size_t size = FindArguments(call.substr(arguments), &form);
  if (size == 0) return std::nullopt;
  const size_t end = arguments + size;
  const std::string_view behind_text =
      std::string_view(*text).substr(shown + std::string_view(kText).size());
  const std::string_view tail = call.substr(end);
  SecondCall second = FindSecond(call, two, end);
  std::string before =
      WithAnyIds(WithoutThought(LeftTrimmed(call.substr(begin, name - begin)), thought));
  const size_t own = NaturalSuffix(before, second.between);
  const std::string_view behind_one =
      std::string_view(second.between).substr(0, second.between.size() - own);
  auto closed = EndOfCalls(tail, behind_text, RightTrimmed(behind_one).ends_with('>'));
  UnifyCounters(&before, &second.between);
  form.after_name = WithAnyIds(form.after_name);
  UnifyCounters(&form.after_name, &second.after_name);
  if (before.empty()) return std::nullopt;
  const bool opens = std::string_view("<[{").find(before[0]) != std::string_view::npos;
  // Calls in a block of code end where the next message begins.
  if (!opens && !closed) {
    closed = RightTrimmed(tail.substr(0, tail.size() - NaturalSuffix(tail, behind_text))).size();
  }
  std::optional<std::string> behind;
  if (closed) behind = WithAnyIds(tail.substr(0, *closed));
  if (!SplitCalls(before, second.between, behind, &form)) return std::nullopt;
  if (!opens && !OpensWithWord(form.opens)) return std::nullopt;
  form.space_behind = SpaceAtBegin(tail.substr(closed ? *closed : form.after.size()));
  TakeId(&form);
  return form;
}

}  // namespace

bool IsHarmony(const ChatModel& chat) {
  const auto has = [&](const char* word) { return chat.source.find(word) != std::string::npos; };
  return has("<|start|>") && has("<|channel|>") && has("<|message|>");
}

std::shared_ptr<const CallForm> FindCallForm(const ChatModel& chat, const ThoughtTags& thought) {
  if (IsHarmony(chat)) return std::make_shared<const CallForm>(HarmonyForm());
  for (unsigned bits = 0; bits < 16; ++bits) {
    const Probe::Ways ways{(bits & 4) != 0, (bits & 2) != 0, (bits & 1) != 0, (bits & 8) != 0};
    auto form = FindByDifference(Probe(chat, ways), thought);
    if (!form) continue;
    form->arguments_as_text = ways.arguments_as_text;
    form->null_content = ways.null_content;
    form->ids_of_names = ways.ids_of_names;
    return std::make_shared<const CallForm>(*std::move(form));
  }
  // A template may describe its tools and leave calls out, or show them in part.
  CallForm form;
  for (const bool with_result : {true, false}) {
    const Probe probe(chat, {.with_result = with_result});
    const auto text = probe.WithText(), call = probe.WithCalls(1);
    for (const auto& rendered : {call, text}) {
      if (!rendered || !FindDescribedForm(*rendered, &form)) continue;
      form.unshown = call && call->find(kValue) == std::string::npos;
      return std::make_shared<const CallForm>(form);
    }
  }
  return nullptr;
}

bool ShowsCalls(const ChatModel& chat) {
  for (const bool null_content : {false, true}) {
    for (const bool with_result : {true, false}) {
      const Probe probe(chat, {.null_content = null_content, .with_result = with_result});
      const auto call = probe.WithCalls(1);
      if (call && call->find(kValue) != std::string::npos) return true;
    }
  }
  return false;
}

}  // namespace lockstep
