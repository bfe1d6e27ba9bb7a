// An answer's grammar is written as text, part by part: a literal for what the form puts around a
// call, a rule for each tool, and the parts' own rules for what they allow within. Its rules have
// names with "chat-", as those of JSON have with "json-", so that neither hides one of the other.
#include "server/generation/call_grammar.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/grammar/grammar.h"
#include "server/generation/text_rules.h"

namespace lockstep {
namespace {

// What the model counts or makes up is bound to its kind.
std::string Literal(std::string_view text, bool mistral = false) {
  std::string rule;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(std::string{kCounter, kAnyId}), text.size());
    if (end > 0) rule += GbnfLiteral(text.substr(0, end)) + " ";
    if (end == text.size()) break;
    rule += text[end] == kCounter ? "[0-9]{1,6} "
            : mistral             ? "[a-zA-Z0-9]{9} "
                                  : "[a-zA-Z0-9_-]{1,64} ";
    text.remove_prefix(end + 1);
  }
  return rule;
}

// Rules of one call, from its name on: "call0", "call1", ..., and "call", which is any of them.
std::string CallRules(const CallForm& form, const CallGrammarParts& parts) {
  std::string rules, any;
  for (size_t i = 0; i < parts.tools.size(); ++i) {
    const auto& tool = parts.tools[i];
    any += fmt::format("{}chat-call{}", i == 0 ? "" : " | ", i);
    rules +=
        fmt::format("chat-call{} ::= {}{} {}{}\n", i,
                    Literal(tool.name + form.after_name, form.mistral), tool.arguments,
                    form.mistral && !form.after.empty() ? "chat-id? " : "", Literal(form.after));
  }
  rules += "chat-call ::= " + any + "\n";
  // The id that a call may be given is not told: the server gives one of its own.
  if (form.mistral) rules += "chat-id ::= \", \\\"id\\\": \\\"\" [a-zA-Z0-9]{9} \"\\\"\"\n";
  return rules;
}

constexpr char kAnalysis[] = "<|channel|>analysis<|message|>", kEnd[] = "<|end|>",
               kNext[] = "<|start|>assistant", kPreamble[] = "<|channel|>commentary<|message|>",
               kFinal[] = "<|channel|>final<|message|>";

// Parts of thought and of what is said before a call come first, then the one part that counts.
std::string HarmonyRules(std::string_view last) {
  return fmt::format("chat-answer ::= {0} chat-thought0 | {1} chat-preamble0 | chat-last\n",
                     GbnfLiteral(kAnalysis), GbnfLiteral(kPreamble)) +
         TextUntil("chat-thought", kEnd, GbnfLiteral(kNext) + " chat-answer", false) +
         TextUntil("chat-preamble", kEnd, GbnfLiteral(kNext) + " chat-answer", false) +
         fmt::format("chat-last ::= {}\n", last);
}

std::string HarmonyGrammar(const CallForm& form, const CallGrammarParts& parts) {
  std::string last = GbnfLiteral(form.before_name) + " chat-call";
  std::string rules = CallRules(form, parts);
  if (parts.instead) {
    const bool any = parts.instead->empty();
    last += fmt::format(" | {} {}", GbnfLiteral(kFinal), any ? "chat-any" : *parts.instead);
    if (any) rules += "chat-any ::= [^\\x00]*\n";
  }
  if (parts.instead && !parts.instead->empty()) {
    rules += fmt::format("{} ::= {}\n", kBegunText, *parts.instead);
  } else {
    rules += TextUntil("chat-begun", kEnd, GbnfLiteral(kNext) + " chat-answer",
                       /*may_end=*/parts.instead.has_value());
  }
  return rules + HarmonyRules(last);
}

}  // namespace

std::string HarmonyAnswer(std::string_view text) {
  return HarmonyRules(GbnfLiteral(kFinal) + " " + std::string(text));
}

std::string CallGrammar(const CallForm& form, const CallGrammarParts& parts) {
  if (form.harmony) return HarmonyGrammar(form, parts);
  std::string rules = CallRules(form, parts);
  const std::string marker = Marker(form);
  const std::string begin = Prefix(form).substr(marker.size());
  std::string calls = form.mistral && begin.starts_with('[') ? "\" \"? " : "";
  calls += Literal(begin) + "chat-call ";
  if (parts.parallel && form.many) {
    calls += fmt::format("({}chat-call)* ", Literal(form.between + form.before_name));
  }
  calls += Literal(form.closes);
  // Else a model that was trained to write it would have to go on with another call.
  if (!form.space_behind.empty()) calls += fmt::format("({})?", Literal(form.space_behind));
  rules += "chat-calls ::= " + calls + "\n";
  if (!parts.instead) return rules + fmt::format("chat-answer ::= {}chat-calls\n", Literal(marker));
  if (!parts.instead->empty()) {
    return rules +
           fmt::format("chat-answer ::= {}chat-calls | {}\n", Literal(marker), *parts.instead);
  }
  if (!IsAtStart(form)) {
    return rules + TextUntil("chat-text", marker, "chat-calls", true) +
           "chat-answer ::= chat-text0\n";
  }
  return rules + TextNotBeginningWith("chat-text", marker) +
         fmt::format("chat-answer ::= {}chat-calls | chat-text0\n", Literal(marker));
}

std::string WithThought(const ThoughtTags& tags, std::string_view root, std::string_view answer) {
  if (tags.close.empty()) return fmt::format("{} ::= {}\n", root, answer);
  std::string rules =
      TextUntil("chat-thought", tags.close, fmt::format("\"\\n\"{{0,2}} {}", answer), false);
  if (tags.inside) return rules + fmt::format("{} ::= chat-thought0\n", root);
  if (tags.open.empty()) return fmt::format("{} ::= {}\n", root, answer);
  return rules +
         fmt::format("{} ::= {} chat-thought0 | {}\n", root, GbnfLiteral(tags.open), answer);
}

}  // namespace lockstep
