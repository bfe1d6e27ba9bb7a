// A call is the same few pieces in every style, in the same order: what opens it, what stands
// before the name, before the arguments and after them. The grammar that binds a model's text and
// the reader that takes calls out of it are both made of these pieces, so that they cannot
// disagree.
#include "server/generation/tool_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/grammar/grammar.h"
#include "server/http/ids.h"

namespace lockstep {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// How a call is written: before name, between name and arguments, after these.
struct Form {
  std::string_view opens;  // what no text has, and calls begin with; empty: the message's beginning
  std::string_view before_name, before_arguments, after;
};

Form FormOf(ToolStyle style) {
  switch (style) {
    case ToolStyle::kHermes:
      return {"<tool_call>", "\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>"};
    case ToolStyle::kLlama3:
      return {"", "{\"name\": \"", "\", \"parameters\": ", "}"};
    case ToolStyle::kMistral:
      return {"[TOOL_CALLS]", "{\"name\": \"", "\", \"arguments\": ", "}"};
    case ToolStyle::kMistralArgs:
      break;
  }
  return {"[TOOL_CALLS]", "", "[ARGS]", ""};
}

std::string ClassWithout(char a, char b) {
  return fmt::format("[^{}{}]", GbnfClassChar(static_cast<uint8_t>(a)),
                     a == b ? "" : GbnfClassChar(static_cast<uint8_t>(b)));
}

// Rules text0, text1, ...: any text in which `word` does not occur, and then, if it does, `then`.
// textI is the text after I characters of the word. REQUIRES: word is ASCII, and its first
// character is not in it again.
std::string TextUntil(std::string_view word, std::string_view then) {
  std::string rules;
  for (size_t i = 0; i < word.size(); ++i) {
    const std::string next = i + 1 < word.size() ? fmt::format("text{}", i + 1) : std::string(then);
    rules += fmt::format("text{} ::= ({} text0 | {} {}{})?\n", i, ClassWithout(word[0], word[i]),
                         GbnfLiteral(word.substr(i, 1)), next,
                         i == 0 ? "" : fmt::format(" | {} text1", GbnfLiteral(word.substr(0, 1))));
  }
  return rules;
}

// Rule text0: any text that does not begin with `word`.
std::string TextNotBeginningWith(std::string_view word) {
  std::string rules;
  for (size_t i = 0; i < word.size(); ++i) {
    rules += fmt::format("text{} ::= ({} any", i, ClassWithout(word[i], word[i]));
    if (i + 1 < word.size()) {
      rules += fmt::format(" | {} text{}", GbnfLiteral(word.substr(i, 1)), i + 1);
    }
    rules += ")?\n";
  }
  return rules + "any ::= [^\\x00]*\n";
}

}  // namespace

std::optional<ToolStyle> DetectToolStyle(std::string_view rendered) {
  const auto has = [rendered](std::string_view text) {
    return rendered.find(text) != rendered.npos;
  };
  for (size_t at = rendered.find("<tool_call>"); at != rendered.npos;
       at = rendered.find("<tool_call>", at + 1)) {
    const size_t next = rendered.find_first_not_of(kSpace, at + strlen("<tool_call>"));
    if (next != rendered.npos && rendered[next] == '{') return ToolStyle::kHermes;
  }
  if (has("[TOOL_CALLS]")) return has("[ARGS]") ? ToolStyle::kMistralArgs : ToolStyle::kMistral;
  // What describes a tool has more between the two.
  constexpr std::string_view kName = "{\"name\": ", kParameters = ", \"parameters\": ";
  for (size_t at = rendered.find(kName); at != rendered.npos; at = rendered.find(kName, at + 1)) {
    const size_t end = rendered.find_first_of(",{}", at + kName.size());
    if (rendered.substr(std::min(end, rendered.size())).starts_with(kParameters)) {
      return ToolStyle::kLlama3;
    }
  }
  return std::nullopt;
}

StopLimit CallsBegin(ToolStyle style) {
  const Form form = FormOf(style);
  if (form.opens.empty()) return {std::string(form.before_name), /*at_start=*/true};
  return {std::string(form.opens), /*at_start=*/false};
}

std::string NewToolCallId(ToolStyle style) {
  const std::string id = NewId("call");
  const bool nine = style == ToolStyle::kMistral || style == ToolStyle::kMistralArgs;
  return nine ? id.substr(id.size() - 9) : id;
}

std::string ToolGrammar(ToolStyle style, const ToolGrammarParts& parts) {
  const Form form = FormOf(style);
  std::string call = "call ::= ";
  std::string rules;
  for (size_t i = 0; i < parts.tools.size(); ++i) {
    const auto& tool = parts.tools[i];
    const std::string head =
        fmt::format("{}{}{}", form.before_name, tool.name, form.before_arguments);
    call += fmt::format("{}call{}", i == 0 ? "" : " | ", i);
    rules += fmt::format("call{} ::= {} {}{}{}\n", i, GbnfLiteral(head), tool.arguments,
                         style == ToolStyle::kMistral ? " call-id?" : "",
                         form.after.empty() ? "" : " " + GbnfLiteral(form.after));
  }
  rules += call + "\n";

  const std::string opens = form.opens.empty() ? "" : GbnfLiteral(form.opens) + " ";
  std::string calls = "call";
  if (style == ToolStyle::kMistral) {  // may give each call an id; the server's own is told instead
    rules += "call-id ::= \", \\\"id\\\": \\\"\" [a-zA-Z0-9]{9} \"\\\"\"\n";
    calls = parts.parallel ? "\" \"? \"[\" call (\", \" call)* \"]\"" : "\" \"? \"[\" call \"]\"";
  } else if (style != ToolStyle::kLlama3 && parts.parallel) {
    calls = fmt::format("call ({}{}call)*", style == ToolStyle::kHermes ? "\"\\n\" " : "", opens);
  }
  rules += "calls ::= " + calls + "\n";

  if (!parts.instead) return rules + "root ::= " + opens + "calls\n";
  if (!parts.instead->empty()) {
    return rules + fmt::format("root ::= {}calls | {}\n", opens, *parts.instead);
  }
  if (!form.opens.empty()) return rules + TextUntil(form.opens, "calls") + "root ::= text0\n";
  return rules + TextNotBeginningWith(form.before_name) + "root ::= calls | text0\n";
}

std::vector<ToolDelta> ToolCallReader::Push(std::string_view text) {
  held_ += text;
  std::vector<ToolDelta> out;
  for (bool more = true; more;) {
    switch (state_) {
      case State::kStart:
      case State::kText:
        more = ReadText(out);
        break;
      case State::kHead:
        more = ReadHead(out);
        break;
      case State::kArguments:
        more = ReadArguments(out);
        break;
      case State::kTail:
        more = ReadTail();
        break;
    }
  }
  return out;
}

std::vector<ToolDelta> ToolCallReader::Finish() {
  std::vector<ToolDelta> out;
  if (state_ == State::kStart || state_ == State::kText) EmitText(out, held_.size());
  held_.clear();
  return out;
}

void ToolCallReader::EmitText(std::vector<ToolDelta>& out, size_t size) {
  if (size > 0) out.push_back({held_.substr(0, size), std::nullopt, std::nullopt, {}, false});
  held_.erase(0, size);
}

// Text that could be the beginning of `opens` is held back: of "a <tool" only "a" is given out
// until more has come. Space in front of a call belongs to the call's form and is held back as
// well.
bool ToolCallReader::ReadText(std::vector<ToolDelta>& out) {
  const Form form = FormOf(style_);
  if (form.opens.empty()) {
    const std::string_view beginning = form.before_name;
    if (state_ == State::kStart && held_.starts_with(beginning)) {
      state_ = State::kHead;
      return true;
    }
    if (state_ == State::kStart && beginning.starts_with(held_)) return false;
    state_ = State::kText;
    EmitText(out, held_.size());
    return false;
  }
  const size_t opens = held_.find(form.opens);
  const std::string_view text = std::string_view(held_).substr(
      0, opens != held_.npos ? opens : held_.size() - PartAtEnd(held_, form.opens));
  EmitText(out, text.find_last_not_of(kSpace) + 1);  // npos + 1 is 0
  if (opens == held_.npos) return false;
  held_.erase(0, held_.find(form.opens) + form.opens.size());
  state_ = State::kHead;
  return true;
}

bool ToolCallReader::ReadHead(std::vector<ToolDelta>& out) {
  const Form form = FormOf(style_);
  const size_t before = held_.find(form.before_name);
  if (before == held_.npos) return false;
  const size_t name = before + form.before_name.size();
  const size_t end = held_.find(form.before_arguments, name);
  if (end == held_.npos) return false;
  out.push_back({{}, calls_++, held_.substr(name, end - name), {}, false});
  held_.erase(0, end + form.before_arguments.size());
  state_ = State::kArguments;
  depth_ = 0;
  return true;
}

// Arguments end where their outermost brace is closed. Braces in strings do not count, and a quote
// behind a backslash does not end a string, so that no JSON parser is needed to stream them.
bool ToolCallReader::ReadArguments(std::vector<ToolDelta>& out) {
  size_t size = 0;
  while (size < held_.size() && state_ == State::kArguments) {
    const char c = held_[size++];
    if (in_string_) {
      in_string_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
      state_ = State::kTail;
    }
  }
  if (size > 0) {
    const bool ends = state_ == State::kTail;
    out.push_back({{}, calls_ - 1, std::nullopt, held_.substr(0, size), ends});
  }
  held_.erase(0, size);
  return state_ == State::kTail;
}

// What stands between two calls, and behind the last one, is given to nobody.
bool ToolCallReader::ReadTail() {
  const Form form = FormOf(style_);
  if (style_ == ToolStyle::kLlama3) return false;
  const std::string_view next = style_ == ToolStyle::kMistral ? form.before_name : form.opens;
  const size_t at = held_.find(next);
  if (at == held_.npos) return false;
  held_.erase(0, style_ == ToolStyle::kMistral ? at : at + next.size());
  state_ = State::kHead;
  return true;
}

}  // namespace lockstep
