#include "server/api/response_format.h"

#include <string>
#include <utility>

#include "server/generation/grammar_cache.h"

namespace lockstep {
namespace {

// The grammar, or its error as the field's.
void Bind(GrammarCache::Bound bound, FieldReader& fields, std::string_view name,
          GenerationOptions* options) {
  if (bound) {
    options->grammar = *std::move(bound);
    return;
  }
  Error error = std::move(bound.error());
  error.param = fields.Full(name);
  fields.Fail(std::move(error));
}

void ReadGbnf(FieldReader& fields, ReadContext& context, GenerationOptions* options) {
  std::string text;
  if (!fields.Text("grammar", &text)) return;
  Bind(context.service.grammars().Gbnf(text), fields, "grammar", options);
}

// {"name", "schema"[, "description", "strict"]}
void ReadJsonSchema(FieldReader& format, ReadContext& context, GenerationOptions* options) {
  const Json* const value = format.Take("json_schema");
  if (value == nullptr || !value->is_object()) {
    return format.Fail("json_schema", "must be an object with a name and a schema");
  }
  FieldReader fields(*value, format.Full("json_schema") + ".");
  std::string text;
  if (!fields.Text("name", &text) && fields.ok()) fields.Fail("name", "is missing");
  fields.Text("description", &text);
  bool strict = true;
  fields.Bool("strict", &strict);
  const Json* const schema = fields.Take("schema");
  if (fields.ok() && schema == nullptr) fields.Fail("schema", "is missing");
  if (Status status = fields.Finish(context.unknown()); !status) return format.Fail(status.error());
  Bind(context.service.grammars().JsonSchema(*schema, fields.Full("schema")), format,
       "json_schema.schema", options);
}

}  // namespace

void ReadResponseFormat(FieldReader& fields, ReadContext& context, GenerationOptions* options) {
  ReadGbnf(fields, context, options);
  const Json* const value = fields.Take("response_format");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.Fail("response_format", "must be an object with a type");
  FieldReader format(*value, "response_format.");
  std::string type;
  format.Text("type", &type);
  if (format.ok() && type != "text" && type != "json_object" && type != "json_schema") {
    format.Fail("type", "must be text, json_object or json_schema");
  }
  if (format.ok() && type != "text" && options->grammar != nullptr) {
    format.Fail("type", "must be text where there is a grammar: send one of them");
  }
  if (format.ok() && type == "json_object") {
    Bind(context.service.grammars().JsonObject(), format, "type", options);
  }
  if (format.ok() && type == "json_schema") ReadJsonSchema(format, context, options);
  if (Status status = format.Finish(context.unknown()); !status) fields.Fail(status.error());
}

void ReadNativeGrammar(FieldReader& fields, ReadContext& context, GenerationOptions* options) {
  ReadGbnf(fields, context, options);
  const Json* const schema = fields.Take("json_schema");
  if (schema == nullptr) return;
  if (options->grammar != nullptr)
    return fields.Fail("json_schema", "and grammar: send one of them");
  Bind(context.service.grammars().JsonSchema(*schema, "json_schema"), fields, "json_schema",
       options);
}

void ReadTgiGrammar(FieldReader& fields, ReadContext& context, GenerationOptions* options) {
  const Json* const value = fields.Take("grammar");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.Fail("grammar", "must be an object with type and value");
  FieldReader grammar(*value, fields.Full("grammar") + ".");
  std::string type;
  grammar.Text("type", &type);
  if (grammar.ok() && type != "json")
    grammar.Fail("type", "must be json: others are not supported");
  const Json* const schema = grammar.Take("value");
  if (grammar.ok() && schema == nullptr) grammar.Fail("value", "is missing: a JSON schema");
  if (grammar.ok()) {
    Bind(context.service.grammars().JsonSchema(*schema, grammar.Full("value")), grammar, "value",
         options);
  }
  if (Status status = grammar.Finish(context.unknown()); !status) fields.Fail(status.error());
}

}  // namespace lockstep
