// How a JSON schema is read into a grammar.
#pragma once

#include "core/grammar/work_meter.h"

namespace lockstep {

struct JsonSchemaOptions {
  // Whether a keyword that the grammar cannot hold to is an error. If not, it is dropped and named,
  // and the rest of the schema binds.
  bool strict = true;
  // Counts the work, and may end it; null: nobody asks.
  WorkMeter* meter = nullptr;
};

}  // namespace lockstep
