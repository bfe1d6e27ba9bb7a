// The grammar that binds a model's text and the reader that takes calls out of it are both made of
// a form's pieces, so that they cannot disagree.
#include "server/generation/call_form.h"

#include <algorithm>
#include <cstring>

#include "core/base/digest.h"
#include "server/generation/generate_types.h"
#include "server/http/ids.h"

namespace lockstep {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

CallForm Named(std::string_view opens, std::string_view before, std::string_view after_name,
               std::string_view after, std::string_view between, std::string_view closes) {
  CallForm form;
  form.opens = opens;
  form.before_name = before;
  form.after_name = after_name;
  form.after = after;
  form.between = between;
  form.closes = closes;
  return form;
}

// Whether the text has the marker and then, spaces aside, a brace.
bool HasJsonBehind(std::string_view text, std::string_view marker) {
  for (size_t at = text.find(marker); at != text.npos; at = text.find(marker, at + 1)) {
    const size_t next = text.find_first_not_of(kSpace, at + marker.size());
    if (next != text.npos && text[next] == '{') return true;
  }
  return false;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsIdChar(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

// What describes a tool has more between the two.
bool HasLlamaCall(std::string_view text) {
  constexpr std::string_view kName = "{\"name\": ", kParameters = ", \"parameters\": ";
  for (size_t at = text.find(kName); at != text.npos; at = text.find(kName, at + 1)) {
    const size_t end = text.find_first_of(",{}", at + kName.size());
    if (text.substr(std::min(end, text.size())).starts_with(kParameters)) return true;
  }
  return false;
}

}  // namespace

// "functools[", and "Action:" with a block of code behind it.
bool OpensWithWord(std::string_view opens) {
  return opens.size() > 4 && opens[0] != '{' && opens.find_first_of("[`") != opens.npos;
}

std::string Prefix(const CallForm& form) { return form.opens + form.before_name; }

bool IsAtStart(const CallForm& form) {
  const std::string prefix = Prefix(form);
  return prefix.empty() || (prefix[0] != '<' && prefix[0] != '[' && !OpensWithWord(form.opens));
}

// A tag is enough to tell a call from text, and comes before what models vary in, such as spaces.
std::string Marker(const CallForm& form) {
  std::string prefix = Prefix(form);
  if (form.harmony || IsAtStart(form)) return prefix;
  if (prefix[0] != '<' && prefix[0] != '[') return form.opens;
  const size_t end = prefix.find(prefix[0] == '<' ? '>' : ']');
  return prefix.substr(0, end == prefix.npos ? end : end + 1);
}

std::string Literals(const CallForm& form) {
  const std::string next = form.between + form.before_name;
  return Prefix(form) + form.after_name + form.key_before + form.key_after + form.key_after_other +
         form.value_after + form.key_before + "\n" + form.value_after + form.after + form.closes +
         "\n" + form.after + next + (form.harmony ? "<|start|><|end|>" : "") +
         (form.arguments == CallForm::Arguments::kGemma ? "<|\"|>" : "");
}

CallForm HermesForm() {
  return Named("", "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>", "\n",
               "");
}

CallForm HarmonyForm() {
  CallForm form =
      Named("", "<|channel|>commentary to=functions.", " <|constrain|>json<|message|>", "", "", "");
  form.harmony = true;
  form.many = false;
  return form;
}

bool FindDescribedForm(std::string_view rendered, CallForm* form) {
  const auto has = [rendered](std::string_view text) {
    return rendered.find(text) != rendered.npos;
  };
  if (HasJsonBehind(rendered, "<tool_call>")) {
    *form = HermesForm();
  } else if (has("[TOOL_CALLS]")) {
    *form = has("[ARGS]")
                ? Named("", "[TOOL_CALLS]", "[ARGS]", "", "", "")
                : Named("[TOOL_CALLS][", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]");
    form->mistral = true;
  } else if (has("<|tool_list_start|>") || has("List of tools: [")) {  // LFM2
    *form = Named("<|tool_call_start|>[", "", "(", ")", ", ", "]<|tool_call_end|>");
    form->arguments = CallForm::Arguments::kPythonic;
  } else if (has("<|tool_call|>")) {
    *form = Named("<|tool_call|>[", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]");
  } else if (HasLlamaCall(rendered)) {
    *form = Named("", "{\"name\": \"", "\", \"parameters\": ", "}", "", "");
    form->many = false;
  } else {
    return false;
  }
  return true;
}

std::optional<size_t> MatchLiteral(std::string_view text, std::string_view literal,
                                   std::string* id) {
  size_t at = 0;
  for (const char c : literal) {
    if (at == text.size()) return text.npos;
    if (c != kCounter && c != kAnyId) {
      if (text[at++] != c) return std::nullopt;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && (c == kCounter ? IsDigit(text[at]) : IsIdChar(text[at]))) ++at;
    if (at == text.size()) return text.npos;
    if (at == begin) return std::nullopt;
    if (c == kAnyId && id != nullptr) *id = text.substr(begin, at - begin);
  }
  return at;
}

bool IsCallNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::strchr("_-.:/", c) != nullptr);
}

std::string CallId(const CallForm& form, std::string_view answer_id, size_t n) {
  Digest digest;
  digest.AddNumber(n);
  digest.Add(answer_id);
  const std::string id = IdOf("call", digest.Bytes().substr(0, AnswerOrigin::kIdBytes));
  return form.mistral ? id.substr(id.size() - 9) : id;
}

}  // namespace lockstep
