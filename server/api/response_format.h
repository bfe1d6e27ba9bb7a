// What an answer has to be: a JSON value, or a text of a grammar. Compiled, or found compiled,
// before anything is generated; enforced token by token.
#pragma once

#include "server/api/request_fields.h"

namespace lockstep {

// response_format (OpenAI's: text, json_object or json_schema; a schema always binds, strict or
// not) and grammar (GBNF), of which a request may have one.
void ReadResponseFormat(FieldReader& fields, ReadContext& context, GenerationOptions* options);
// grammar and json_schema, as further fields of the server's own dialect.
void ReadNativeGrammar(FieldReader& fields, ReadContext& context, GenerationOptions* options);
// grammar of TGI's dialect: {"type": "json", "value": schema}.
void ReadTgiGrammar(FieldReader& fields, ReadContext& context, GenerationOptions* options);

}  // namespace lockstep
