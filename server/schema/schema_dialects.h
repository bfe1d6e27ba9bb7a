// Drafts of JSON Schema and the libraries that write schemas have words of their own for what the
// reader knows by one: puts a schema into the reader's. Pure function.
#pragma once

#include "server/json/json_text.h"

namespace lockstep {

// References by $id, $anchor and $dynamicAnchor become those by JSON pointer, $dynamicRef and
// $recursiveRef with them, where only one schema is meant; an exclusiveMinimum or exclusiveMaximum
// that is a boolean, of draft 4 and OpenAPI 3.0, becomes today's; a keyword that is null, where
// null is no value, is left out. What is not understood stays.
Json InOneDialect(Json schema);

}  // namespace lockstep
