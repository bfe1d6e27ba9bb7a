// What an answer may be, as GBNF: thoughts, text, calls of tools. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/thought.h"
#include "server/generation/call_form.h"

namespace lockstep {

struct CallGrammarParts {
  struct Tool {
    std::string name;       // of characters that IsCallNameChar
    std::string arguments;  // the name of the rule of what stands between after_name and after
  };
  std::vector<Tool> tools;
  bool parallel = true;  // more than one call, where the form has that
  // What the answer may be instead of calls: any text (empty), the name of the rule of another, or
  // nothing.
  std::optional<std::string> instead = "";
};
// The rules at which an answer in harmony begins that goes on with a thought, or with a text.
inline constexpr std::string_view kBegunThought = "chat-thought0", kBegunText = "chat-begun0";
// The rule "chat-answer", and those that it takes besides the parts' own. Text and calls do not mix
// but in this order, and what begins like a call is one.
std::string CallGrammar(const CallForm& form, const CallGrammarParts& parts);
// The rule "chat-answer" of an answer in harmony that has no calls: its text is of the rule `text`.
std::string HarmonyAnswer(std::string_view text);

// The rule `root`: a thought, which must be there where the text begins in one, and then the rule
// `answer`, behind at most two line breaks.
std::string WithThought(const ThoughtTags& tags, std::string_view root, std::string_view answer);

}  // namespace lockstep
