// Half a dozen fields say what an answer must be, each as its inventor has it. Reading them ends in
// one AnswerFormat, so that a second one can be refused by name, and binding is done once.
#include "server/api/response_format.h"

#include <fmt/format.h>

#include <utility>

#include "core/grammar/grammar.h"
#include "server/generation/grammar_cache.h"
#include "server/schema/json_pattern.h"

namespace lockstep {
namespace {

using Kind = AnswerFormat::Kind;

// Reads the fields of one request, whichever they are, into one format.
class FormatReader {
 public:
  FormatReader(ReadContext& context, bool strict) : context_(context) { format_.strict = strict; }
  // Goes on with what another reader has found.
  FormatReader(ReadContext& context, AnswerFormat begun)
      : context_(context), format_(std::move(begun)) {}

  AnswerFormat format() && { return std::move(format_); }

  // What `name` of `owner` says, be it of the request itself or of an object in it. An empty
  // grammar is none: llama-server's clients send their default so.
  void ReadGbnf(FieldReader& owner, std::string_view name) {
    std::string text;
    if (owner.Text(name, &text) && !text.empty()) SetGbnf(owner, name, std::move(text));
  }
  void ReadRegex(FieldReader& owner, std::string_view name) {
    std::string pattern;
    if (!owner.Text(name, &pattern)) return;
    auto rule = TextPatternToGbnf(pattern);
    if (!rule) return owner.Fail(name, "cannot be kept: " + rule.error().message);
    SetGbnf(owner, name, "root ::= " + *rule + "\n");
  }
  // The answer is one of the list's texts and nothing else.
  void ReadChoice(FieldReader& owner, std::string_view name) {
    const Json* const list = owner.Take(name);
    if (list == nullptr) return;
    std::vector<std::string> texts;
    for (const Json& text : list->is_array() ? *list : Json::array()) {
      if (!text.is_string()) return owner.Fail(name, "must be a list of strings");
      texts.push_back(text.get<std::string>());
    }
    if (texts.empty()) return owner.Fail(name, "must be a list of at least one string");
    JsonRules rules;
    const std::string rule = rules.DefineTexts(std::move(texts));
    SetGbnf(owner, name, "root ::= " + rule + "\n" + rules.text());
  }
  // A schema, or its text as a string.
  void ReadSchema(FieldReader& owner, std::string_view name) {
    const Json* const value = owner.Take(name);
    if (value == nullptr) return;
    Json schema = *value;
    if (value->is_string()) {
      auto parsed = ParseStrictObject(value->get_ref<const std::string&>());
      if (!parsed) return owner.Fail(name, "is no JSON schema: " + parsed.error().message);
      schema = *std::move(parsed);
    }
    if (!schema.is_object() && !schema.is_boolean()) {
      return owner.Fail(name, "must be a JSON schema: an object or a boolean");
    }
    // One field may have the same schema under the names of several servers.
    const bool again = format_.kind == Kind::kSchema && format_.schema == schema &&
                       format_.field == FieldOf(owner.Full(name));
    if (!again && Set(owner, name, Kind::kSchema)) format_.schema = std::move(schema);
  }
  void ReadObject(FieldReader& owner, std::string_view name) { Set(owner, name, Kind::kObject); }

  // {"schema"[, "name", "description", "strict"]}
  void ReadNamedSchema(FieldReader& owner, std::string_view name) {
    constexpr char kForm[] = "must be an object with a schema";
    if (!owner.Object(name, kForm, context_.unknown(),
                      [this](FieldReader& fields) { ReadSchemaFields(fields); }) &&
        owner.ok()) {
      owner.Fail(name, kForm);
    }
  }
  void ReadSchemaFields(FieldReader& fields) {
    std::string text;
    fields.Text("name", &text);  // says nothing of the answer; llama-server's clients have none
    fields.Text("description", &text);
    fields.Bool("strict", &format_.strict);
    ReadSchema(fields, "schema");
    if (fields.ok() && format_.kind != Kind::kSchema) fields.Fail("schema", "is missing");
  }

  // response_format, or text.format, which has the schema's fields beside its type. Either may have
  // them where the other one does.
  void ReadTyped(FieldReader& format) {
    std::string type;
    format.Text("type", &type);
    if (!format.ok() || type == "text") return;
    const bool nested = format.Has("json_schema");
    if (type == "json_schema" && (format.Has("schema") || (format.Has("name") && !nested))) {
      ReadSchemaFields(format);
      if (nested) ReadNamedSchema(format, "json_schema");
      return;
    }
    if (type == "json_schema") return ReadNamedSchema(format, "json_schema");
    if (type == "regex") {
      ReadRegex(format, "value");
      if (format.ok() && format_.kind == Kind::kText) format.Fail("value", "is missing");
      return;
    }
    if (type != "json_object" && type != "json") {
      return format.Fail("type", "must be text, json_object, json_schema or regex");
    }
    // Hugging Face's clients send the schema as "value", others as "schema".
    const bool any = !nested && !format.Has("value") && !format.Has("schema");
    if (any) return ReadObject(format, "type");
    for (const char* name : {"value", "schema"}) ReadSchema(format, name);
    if (nested) ReadNamedSchema(format, "json_schema");
  }

  // output_config.format, and output_format as it was before
  void ReadAnthropic(FieldReader& format) {
    std::string type;
    format.Text("type", &type);
    format.Take("name");
    const Json* const schema = format.Take("schema");
    if (type != "json_schema") format.Fail("type", "must be \"json_schema\"");
    if (schema == nullptr || !schema->is_object()) {
      return format.Fail("schema", "must be a JSON schema, an object");
    }
    ReadSchema(format, "schema");
  }

  // What clients of one server send to the routes of another, too: the fields of every dialect but
  // those whose name means something else in one.
  void ReadCommon(FieldReader& fields) {
    fields.Object("response_format", "must be an object with a type", context_.unknown(),
                  [this](FieldReader& format) { ReadTyped(format); });
    fields.Object("structured_outputs", "must be an object", context_.unknown(),
                  [this](FieldReader& outputs) { ReadStructured(outputs); });
    for (const char* name : {"json_schema", "guided_json"}) ReadSchema(fields, name);
    for (const char* name : {"regex", "guided_regex"}) ReadRegex(fields, name);
    for (const char* name : {"ebnf", "guided_grammar"}) ReadGbnf(fields, name);
    ReadChoice(fields, "guided_choice");
    fields.Take("guided_decoding_backend");  // who makes the grammar
  }

  // structured_outputs
  void ReadStructured(FieldReader& outputs) {
    bool object = false;
    ReadSchema(outputs, "json");
    ReadRegex(outputs, "regex");
    ReadChoice(outputs, "choice");
    ReadGbnf(outputs, "grammar");
    if (outputs.Bool("json_object", &object) && object) ReadObject(outputs, "json_object");
    // Which way the grammar is made; where it would change the answer, it is named as ignored.
    outputs.Take("disable_fallback");
    for (const char* name : {"disable_any_whitespace", "disable_additional_properties"}) {
      outputs.TakeIf(name, false);
    }
    outputs.Refuse("structural_tag", "is not supported");
  }

  // TGI's grammar
  void ReadTgi(FieldReader& grammar) {
    std::string type;
    grammar.Text("type", &type);
    if (!grammar.ok()) return;
    if (type == "json_object" && !grammar.Has("value")) return ReadObject(grammar, "type");
    if (type == "json" || type == "json_object") {
      ReadSchema(grammar, "value");
    } else if (type != "json_schema" && type != "regex") {
      return grammar.Fail("type", "must be json, json_object, json_schema or regex");
    }
    if (type == "regex") ReadRegex(grammar, "value");
    if (type == "json_schema") ReadNamedSchema(grammar, "value");
    if (grammar.ok() && format_.kind == Kind::kText) grammar.Fail("value", "is missing");
  }

 private:
  void SetGbnf(FieldReader& owner, std::string_view name, std::string text) {
    if (Set(owner, name, Kind::kGbnf)) format_.gbnf = std::move(text);
  }
  // False, and an error that names both, where another field has already said what the answer is.
  bool Set(FieldReader& owner, std::string_view name, Kind kind) {
    if (!owner.ok()) return false;
    if (format_.kind != Kind::kText) {
      owner.Fail(name, fmt::format("and {} each say what the answer must be: send one of them",
                                   format_.where));
      return false;
    }
    format_.kind = kind;
    format_.where = owner.Full(name);
    format_.field = FieldOf(format_.where);
    return true;
  }
  // "response_format.json_schema.schema" belongs to the request's field response_format.
  static std::string FieldOf(const std::string& where) { return where.substr(0, where.find('.')); }

  ReadContext& context_;
  AnswerFormat format_;
};

// Fields of other servers that bind the answer, or are a part of the question: to leave them out
// would be an answer to something else. A value that asks for nothing is taken.
void RefuseWhatBinds(FieldReader& fields) {
  for (const char* name : {"images", "prompt_embeds", "use_beam_search"}) {
    const Json* const value = fields.Take(name);
    if (value == nullptr || value->empty() || *value == 0 || *value == false || *value == "") {
      continue;
    }
    fields.Fail(name,
                "is not supported, and the answer would not be what it asks for: leave it out");
  }
}

}  // namespace

// Clients send schemas that no server can hold to in full, made by libraries, so that
// these are not strict unless they say so.
AnswerFormat ReadLlamaFormat(FieldReader& fields, ReadContext& context) {
  FormatReader reader(context, /*strict=*/false);
  reader.ReadGbnf(fields, "grammar");
  reader.ReadCommon(fields);
  return std::move(reader).format();
}

AnswerFormat ReadResponseFormat(FieldReader& fields, ReadContext& context) {
  RefuseWhatBinds(fields);
  return ReadLlamaFormat(fields, context);
}

namespace {

// `field` of `owner`, by a method of the reader, as one more of the fields that were read before.
template <auto kRead>
void ReadFormatIn(FieldReader& owner, std::string_view field, ReadContext& context,
                  AnswerFormat* format) {
  FormatReader reader(context, std::move(*format));
  owner.Object(field, "must be an object with a type", context.unknown(),
               [&](FieldReader& fields) { (reader.*kRead)(fields); });
  *format = std::move(reader).format();
}

}  // namespace

void ReadTypedFormat(FieldReader& owner, std::string_view field, ReadContext& context,
                     AnswerFormat* format) {
  ReadFormatIn<&FormatReader::ReadTyped>(owner, field, context, format);
}

void ReadAnthropicFormat(FieldReader& owner, std::string_view field, ReadContext& context,
                         AnswerFormat* format) {
  ReadFormatIn<&FormatReader::ReadAnthropic>(owner, field, context, format);
}

// Whoever writes for this server's own fields is told what a schema cannot do.
AnswerFormat ReadNativeFormat(FieldReader& fields, ReadContext& context) {
  FormatReader reader(context, /*strict=*/true);
  reader.ReadGbnf(fields, "grammar");
  reader.ReadSchema(fields, "json_schema");
  return std::move(reader).format();
}

AnswerFormat ReadOllamaFormat(FieldReader& fields, ReadContext& context) {
  FormatReader reader(context, /*strict=*/false);
  const Json* const format = fields.Take("format");
  if (format != nullptr && *format == "json") {
    reader.ReadObject(fields, "format");
  } else if (format != nullptr && *format != "") {
    reader.ReadSchema(fields, "format");
  }
  reader.ReadGbnf(fields, "grammar");
  reader.ReadCommon(fields);
  return std::move(reader).format();
}

AnswerFormat ReadTgiFormat(FieldReader& fields, ReadContext& context) {
  FormatReader reader(context, /*strict=*/true);
  fields.Object("grammar", "must be an object with type and value", context.unknown(),
                [&](FieldReader& grammar) { reader.ReadTgi(grammar); });
  reader.ReadCommon(fields);
  return std::move(reader).format();
}

Status BindAnswerFormat(const AnswerFormat& format, ReadContext& context,
                        GenerationOptions* options) {
  if (format.kind == Kind::kText) return {};
  GrammarCache& grammars = context.service.grammars();
  std::vector<std::string> dropped;
  GrammarCache::Bound bound = format.kind == Kind::kGbnf
                                  ? grammars.Gbnf(format.gbnf, context.compile_for)
                              : format.kind == Kind::kObject
                                  ? grammars.JsonObject(context.compile_for)
                                  : grammars.JsonSchema(format.schema, format.where, format.strict,
                                                        context.compile_for, &dropped);
  if (!bound) {
    bound.error().param = format.where;
    return tl::unexpected(std::move(bound.error()));
  }
  options->grammar = *std::move(bound);
  context.ignored.insert(context.ignored.end(), dropped.begin(), dropped.end());
  return {};
}

}  // namespace lockstep
