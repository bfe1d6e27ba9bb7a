// How a JSON schema is read into a grammar.
#pragma once

#include <functional>

namespace lockstep {

struct JsonSchemaOptions {
  // Whether a keyword that the grammar cannot hold to is an error. If not, it is dropped and named,
  // and the rest of the schema binds.
  bool strict = true;
  // Asked now and then; true ends the reading with kCancelled. Empty: never.
  std::function<bool()> stopped = {};
};

}  // namespace lockstep
