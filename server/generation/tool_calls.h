// Calls of tools in a model's text: the ways of writing them that published chat templates teach,
// as a grammar for the text and as a reader that takes them out of it again. Pure functions, and a
// reader for one answer, used by one thread. Knows no JSON library: arguments are texts.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/stop_matcher.h"

namespace lockstep {

enum class ToolStyle {
  kHermes,   // <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>; Qwen 2.5 and 3 as well
  kLlama3,   // {"name": "f", "parameters": {...}} and nothing else in the message
  kMistral,  // [TOOL_CALLS][{"name": "f", "arguments": {...}}, ...]
  kMistralArgs,  // [TOOL_CALLS]f[ARGS]{...}, of its models since 2025
};
// What the styles write that some vocabularies have as control tokens.
inline constexpr std::string_view kToolTokens[] = {"<tool_call>", "</tool_call>", "[TOOL_CALLS]",
                                                   "[ARGS]"};
inline constexpr std::string_view kToolStyles =
    "those of Hermes and Qwen (<tool_call> with JSON), Llama 3 and Mistral";

// The style of a model, from a conversation with a tool and a call of it that its template has
// rendered; nothing if it is none of these.
std::optional<ToolStyle> DetectToolStyle(std::string_view rendered);
// Where a text stops being text and calls begin: no stop string acts there.
StopLimit CallsBegin(ToolStyle style);
// Ids of calls that the style's templates take back: Mistral's insist on nine letters and digits.
std::string NewToolCallId(ToolStyle style);

struct ToolGrammarParts {
  struct Tool {
    std::string name;       // ASCII without quotes, brackets, backslashes and blanks
    std::string arguments;  // the GBNF rule of its arguments, a JSON object
  };
  std::vector<Tool> tools;
  bool parallel = true;  // more than one call, where the style has that
  // What the answer may be instead of calls: any text (empty), the GBNF rule of another, or
  // nothing.
  std::optional<std::string> instead = "";
};
// GBNF rules, "root" among them, without those that the parts name. Text and calls do not mix but
// in this order, and what begins like a call is one.
std::string ToolGrammar(ToolStyle style, const ToolGrammarParts& parts);

// What a piece of the text amounts to: text for the reader, or a part of a call.
struct ToolDelta {
  std::string content;
  std::optional<size_t> call;       // its index
  std::optional<std::string> name;  // set in the first delta of a call
  std::string arguments;            // the next piece of them
  bool ends = false;                // with this piece the call is whole
};

class ToolCallReader {
 public:
  explicit ToolCallReader(ToolStyle style) : style_(style) {}

  // Takes the next piece of a text of the style's grammar. Whitespace before a call is dropped.
  std::vector<ToolDelta> Push(std::string_view text);
  // The rest, after the last piece: what looked like the beginning of a call.
  std::vector<ToolDelta> Finish();
  size_t calls() const { return calls_; }  // begun so far

 private:
  enum class State { kStart, kText, kHead, kArguments, kTail };

  // Each takes what it can from held_; false if it needs more.
  bool ReadText(std::vector<ToolDelta>& out);
  bool ReadHead(std::vector<ToolDelta>& out);
  bool ReadArguments(std::vector<ToolDelta>& out);
  bool ReadTail();
  void EmitText(std::vector<ToolDelta>& out, size_t size);

  const ToolStyle style_;
  State state_ = State::kStart;
  std::string held_;  // not yet dealt with
  size_t calls_ = 0;
  size_t depth_ = 0;  // of the arguments' braces and brackets
  bool in_string_ = false, escaped_ = false;
};

}  // namespace lockstep
