// JSON Schema as grammar: GBNF for the texts of the JSON values that a schema describes. Pure
// functions of the schema.
//
// The grammar never allows what the schema does not, and every keyword that it cannot hold to is an
// error, or is dropped, by name and place. It allows less than the schema:
//   properties come in the order of the schema, those required always, others or not
//   what is not listed is not there: no additional properties or items beside those that the schema
//     names, unless additionalProperties or items says so
//   a schema without a type takes the one that its keywords are for
//   space is a blank or a newline with its indentation, behind {, [, comma and colon and before } ]
//   numbers are short enough for a double to hold, but where a bound is longer
//   the items that prefixItems lists are all there, unless minItems says so or one is a reference
//   unique items of more than a few values come in the order of their enum
//   where there are few items, those that `contains` asks for are the first ones
//   a pattern's or a format's repetitions are fewer where maxLength cannot be counted beside them
//   a member that tells schemas of oneOf apart is always there
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/grammar/grammar.h"
#include "server/json/json_text.h"
#include "server/schema/json_rules.h"
#include "server/schema/schema_options.h"

namespace lockstep {

inline constexpr size_t kMaxSchemaBytes = 256 * 1024;  // as text

// Rules of GBNF for any number of schemas, to be joined by other rules:
//   JsonGrammar json;
//   const auto arguments = json.Add(schema, "tools[0].function.parameters");
//   ParseGbnf("root ::= \"<tool_call>\" " + *arguments + " \"</tool_call>\"\n" + json.rules());
// Names of its rules begin with "json-".
class JsonGrammar {
 public:
  // The name of the rule for the schema's values. Errors are kInvalidArgument and begin with
  // `where` and the JSON pointer of what is wrong.
  [[nodiscard]] Result<std::string> Add(const Json& schema, std::string_view where,
                                        const JsonSchemaOptions& options = {});
  // The name of the rule for the strings that a schema of such describes, bare: without quotes and
  // escapes, as they are in front of `end`, which is no part of the rule and in none of them.
  // Beyond some dozen characters, a length is counted only in texts without the first character of
  // `end` that is no space.
  [[nodiscard]] Result<std::string> AddBareText(const Json& schema, std::string_view where,
                                                std::string_view end,
                                                const JsonSchemaOptions& options = {});
  // The names of the rules for any value, for any object, and of the one that matches nothing.
  static std::string_view Value() { return JsonRules::Value(); }
  static std::string_view Object() { return JsonRules::Object(); }
  static std::string_view Nothing() { return JsonRules::Nothing(); }

  const std::string& rules() const { return rules_.text(); }
  // What the schemas that are not strict say in vain, each as "where/pointer: keyword".
  const std::vector<std::string>& dropped() const { return dropped_; }

 private:
  // What `read` makes of a reader of the schema.
  template <class Read>
  Result<std::string> ReadWith(const Json& schema, std::string_view where,
                               const JsonSchemaOptions& options, const Read& read);

  JsonRules rules_;
  std::vector<std::string> dropped_;
};

// `dropped`, if there is one, gets JsonGrammar::dropped().
[[nodiscard]] Result<std::shared_ptr<const Grammar>> CompileJsonSchema(
    const Json& schema, std::string_view where, const JsonSchemaOptions& options = {},
    std::vector<std::string>* dropped = nullptr);
// Any object, as deep as the text is long.
[[nodiscard]] Result<std::shared_ptr<const Grammar>> CompileJsonObject();

}  // namespace lockstep
