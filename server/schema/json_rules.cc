// JSON itself as GBNF. Every grammar of a schema begins with these rules, whether it uses them or
// not, so that their names can be relied on.
#include "server/schema/json_rules.h"

#include <fmt/format.h>

#include <algorithm>

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
