#include "server/schema/json_schema.h"

#include <fmt/format.h>

#include <utility>

#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

// What any value is made of. Escapes of surrogates come in pairs, numbers are short enough for a
// double, and space ends.
constexpr std::string_view kPrimitives = R"gbnf(
json-ws ::= (" " | "\n" (" "{0,32} | "\t"{1,8}))?
json-char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" json-unit)
json-unit ::= [0-9a-cA-CefEF] json-hex{3} | [dD] [0-7] json-hex{2} | [dD] [89abAB] json-hex{2} "\\u" [dD] [c-fC-F] json-hex{2}
json-hex ::= [0-9a-fA-F]
json-string ::= "\"" json-char* "\""
json-integer ::= "0" | "-"? [1-9] [0-9]{0,14}
json-number ::= "-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+-]? [0-9]{1,2})?
json-boolean ::= "true" | "false"
json-null ::= "null"
json-value ::= json-object | json-array | json-string | json-number | json-boolean | json-null
json-member ::= json-string ":" json-ws json-value
json-object ::= "{" json-ws (json-member ("," json-ws json-member)* json-ws)? "}"
json-array ::= "[" json-ws (json-value ("," json-ws json-value)* json-ws)? "]"
)gbnf";

}  // namespace

JsonGrammar::JsonGrammar() : rules_(kPrimitives.substr(1)) {}

void JsonGrammar::Define(std::string_view name, std::string_view body) {
  rules_ += fmt::format("{} ::= {}\n", name, body);
}

std::string JsonGrammar::NewName() { return fmt::format("json-{}", names_++); }

Result<std::string> JsonGrammar::Add(const OrderedJson& schema, std::string_view where) {
  if (Dump(schema).size() > kMaxSchemaBytes) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{}: the schema has more than {} bytes", where, kMaxSchemaBytes),
                std::string(where));
  }
  return SchemaReader(this, schema, where).Read();
}

Result<std::shared_ptr<const Grammar>> CompileJsonSchema(const OrderedJson& schema,
                                                         std::string_view where) {
  JsonGrammar json;
  const auto rule = json.Add(schema, where);
  if (!rule) return tl::unexpected(rule.error());
  auto grammar = ParseGbnf(fmt::format("root ::= {}\n{}", *rule, json.rules()));
  if (grammar) return grammar;
  Error error = std::move(grammar.error());
  error.message =
      fmt::format("{}: as a grammar, the schema is not acceptable: {}", where, error.message);
  error.param = where;
  return tl::unexpected(std::move(error));
}

Result<std::shared_ptr<const Grammar>> CompileJsonObject() {
  return ParseGbnf(fmt::format("root ::= {}\n{}", JsonGrammar::Object(), JsonGrammar().rules()));
}

}  // namespace lockstep
