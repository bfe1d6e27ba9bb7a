// What an answer has to be: a JSON value, or a text of a grammar. Compiled, or found compiled,
// before anything is generated; enforced token by token. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "server/api/request_fields.h"

namespace lockstep {

struct AnswerFormat {
  enum class Kind { kText, kObject, kSchema, kGbnf };
  Kind kind = Kind::kText;
  std::string field;   // of the request, that says so
  std::string where;   // what stands in it, as an error names it
  Json schema;         // of kSchema
  bool strict = true;  // of kSchema: JsonSchemaOptions::strict
  std::string gbnf;    // of kGbnf
};

// The fields of which a request to any route but the server's own may have one: response_format
// (text, json_object, json_schema, and TGI's json and regex), llama-server's grammar (GBNF) and
// json_schema, vLLM's structured_outputs and guided_json, guided_regex, guided_choice and
// guided_grammar, SGLang's regex and ebnf.
AnswerFormat ReadLlamaFormat(FieldReader& fields, ReadContext& context);
// The fields of OpenAI's routes, where images and the like are refused.
AnswerFormat ReadResponseFormat(FieldReader& fields, ReadContext& context);
// `field` of `owner` as one more of these fields, after the others: {"type", ...} as in
// response_format, and {"type": "json_schema", "schema"} as Anthropic has it.
void ReadTypedFormat(FieldReader& owner, std::string_view field, ReadContext& context,
                     AnswerFormat* format);
void ReadAnthropicFormat(FieldReader& owner, std::string_view field, ReadContext& context,
                         AnswerFormat* format);
// grammar and json_schema, as further fields of the server's own dialect.
AnswerFormat ReadNativeFormat(FieldReader& fields, ReadContext& context);
// ReadNativeFormat's fields, and Ollama's format: "json", a schema, or an empty text: none.
AnswerFormat ReadOllamaFormat(FieldReader& fields, ReadContext& context);
// ReadNativeFormat's fields, but with grammar as TGI has it: {"type", "value"}.
AnswerFormat ReadTgiFormat(FieldReader& fields, ReadContext& context);

// Binds the options to the grammar of a format that was read. What a schema that is not strict says
// in vain is named as ignored.
[[nodiscard]] Status BindAnswerFormat(const AnswerFormat& format, ReadContext& context,
                                      GenerationOptions* options);

}  // namespace lockstep
