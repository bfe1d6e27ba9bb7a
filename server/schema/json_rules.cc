// JSON itself as GBNF. Every grammar of a schema begins with these rules, whether it uses them or
// not, so that their names can be relied on.
#include "server/schema/json_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "core/base/utf8.h"
#include "core/grammar/grammar.h"

namespace lockstep {
namespace {

// What any value is made of. Escapes of surrogates come in pairs, numbers are short enough for a
// double, and space ends.
constexpr std::string_view kPrimitives = R"gbnf(
json-ws ::= (" " | "\n" (" "{0,24} | "\t"{1,8}))?
json-char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" json-unit)
json-unit ::= [0-9a-cA-CefEF] json-hex{3} | [dD] [0-7] json-hex{2} | [dD] [89abAB] json-hex{2} "\\u" [dD] [c-fC-F] json-hex{2}
json-hex ::= [0-9a-fA-F]
json-string ::= "\"" json-char* "\""
json-integer ::= "0" | "-"? [1-9] [0-9]{0,14}
json-number ::= "-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+-]? [0-9]{1,2})?
json-boolean ::= "true" | "false"
json-null ::= "null"
json-nothing ::= []
json-value ::= json-object | json-array | json-string | json-number | json-boolean | json-null
json-member ::= json-string ":" json-ws json-value
json-object ::= "{" json-ws (json-member ("," json-ws json-member)* json-ws)? "}"
json-array ::= "[" json-ws (json-value ("," json-ws json-value)* json-ws)? "]"
)gbnf";

}  // namespace

JsonRules::JsonRules() : text_(kPrimitives.substr(1)) {}

void JsonRules::Define(std::string_view name, std::string_view body) {
  text_ += fmt::format("{} ::= {}\n", name, body);
}

// abc, abd and x become: r0 ::= "ab" r1 | "x", r1 ::= "c" | "d".
std::string JsonRules::DefineTexts(std::vector<std::string> texts) {
  std::ranges::sort(texts);
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  // A tree of what they have in common, so that few ways are open after each byte.
  struct Part {
    size_t begin, end, at;  // texts that have the same `at` bytes in front
    std::string rule;
  };
  std::string root = NewName();
  std::vector<Part> parts = {{0, texts.size(), 0, root}};
  while (!parts.empty()) {
    const Part part = parts.back();
    parts.pop_back();
    std::string choices;
    for (size_t i = part.begin; i < part.end;) {
      const std::string_view first = std::string_view(texts[i]).substr(part.at);
      const size_t length = first.empty() ? 0 : CharacterLength(first);
      size_t end = i + 1, common = first.size();
      while (end < part.end && length > 0 &&
             texts[end].compare(part.at, length, first.substr(0, length)) == 0) {
        const std::string_view other = std::string_view(texts[end++]).substr(part.at);
        common = std::min(
            common, static_cast<size_t>(std::ranges::mismatch(first, other).in1 - first.begin()));
      }
      while (common < first.size() && (static_cast<uint8_t>(first[common]) & 0xC0) == 0x80) {
        --common;  // to the first byte of a character
      }
      choices += (choices.empty() ? "" : " | ") + GbnfLiteral(first.substr(0, common));
      if (end > i + 1) {
        parts.push_back({i, end, part.at + common, NewName()});
        choices += " " + parts.back().rule;
      }
      i = end;
    }
    Define(part.rule, choices);
  }
  return root;
}

std::string Repetition(size_t least, std::optional<size_t> most) {
  return most ? fmt::format("{{{},{}}}", least, *most) : fmt::format("{{{},}}", least);
}

// The first item stands alone, so that commas stand only between items: one to three items are
// `item ("," json-ws item){0,2} json-ws`.
std::string List(std::string_view item, size_t least, std::optional<size_t> most) {
  if (most == 0u) return "\"\"";
  std::optional<size_t> rest = most;
  if (rest) --*rest;
  const std::string list = fmt::format("{0} (\",\" json-ws {0}){1} json-ws", item,
                                       Repetition(std::max<size_t>(least, 1) - 1, rest));
  return least == 0 ? "(" + list + ")?" : list;
}

std::string JsonRules::NewName() { return fmt::format("json-{}", names_++); }

}  // namespace lockstep
