// The door to the folder: what a schema may weigh, and the way from its rules to a grammar.
#include "server/schema/json_schema.h"

#include <fmt/format.h>

#include <utility>

#include "server/schema/schema_dialects.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
template <class Read>
Result<std::string> JsonGrammar::ReadWith(const Json& schema, std::string_view where,
                                          const JsonSchemaOptions& options, const Read& read) {
  if (Dump(schema).size() > kMaxSchemaBytes) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{}: the schema has more than {} bytes", where, kMaxSchemaBytes),
                std::string(where));
  }
  // A part's root was put into one dialect as a whole.
  const Json whole = options.root == nullptr ? InOneDialect(schema) : Json();
  SchemaReader reader(&rules_, options.root == nullptr ? whole : schema, where, options, &dropped_);
  Result<std::string> rule = read(reader);
  // A reader that is ended by the meter may take that for a fault of a keyword.
  if (Status going_on = Spend(options.meter, 0); !going_on) {
    return tl::unexpected<Error>(std::move(going_on.error()));
  }
  return rule;
}

Result<std::string> JsonGrammar::Add(const Json& schema, std::string_view where,
                                     const JsonSchemaOptions& options) {
  return ReadWith(schema, where, options, [](SchemaReader& reader) { return reader.Read(); });
}

Result<std::string> JsonGrammar::AddBareText(const Json& schema, std::string_view where,
                                             std::string_view end,
                                             const JsonSchemaOptions& options) {
  return ReadWith(schema, where, options,
                  [end](SchemaReader& reader) { return reader.ReadBareText(end); });
}

Result<std::shared_ptr<const Grammar>> CompileJsonSchema(const Json& schema, std::string_view where,
                                                         const JsonSchemaOptions& options,
                                                         std::vector<std::string>* dropped) {
  JsonGrammar json;
  TRY(const std::string rule, json.Add(schema, where, options));
  if (dropped != nullptr) *dropped = json.dropped();
  // A schema within its own limits may still be too large a grammar. The client knows the schema
  // and not the GBNF, so that the message says where the schema stands.
  auto grammar =
      ParseGbnf(fmt::format("root ::= {}\n{}", rule, json.rules()), "root", options.meter);
  if (grammar || grammar.error().kind != ErrorKind::kInvalidArgument) return grammar;
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
