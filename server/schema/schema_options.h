// How a JSON schema is read into a grammar.
#pragma once

#include <string>

#include "core/grammar/work_meter.h"
#include "server/json/json_text.h"

namespace lockstep {

struct JsonSchemaOptions {
  // Whether a keyword that the grammar cannot hold to is an error. If not, it is dropped and named,
  // and the rest of the schema binds.
  bool strict = true;
  // Counts the work, and may end it; null: nobody asks.
  WorkMeter* meter = nullptr;
  // Where the schema is a part of another: that one, to which its references and `path` are
  // relative. `path` is a JSON pointer to where the part stands.
  const Json* root = nullptr;
  std::string path = "";
  // Whether what it describes may be left out: a schema that allows no value is then no error, and
  // its rule matches nothing.
  bool optional = false;
};

}  // namespace lockstep
