// What filters mean by an attribute: "a.b.0", a path of keys, indexes and attributes.
#pragma once

#include <utility>
#include <vector>

#include "core/jinja/interpreter.h"

namespace lockstep::jinja {

class Attribute {
 public:
  // None stands for the item itself. `otherwise` replaces what is undefined, unless it is None.
  Attribute(Interpreter& run, const Value& path, Value otherwise = Value::Null());
  Value Of(const Value& item) const;

 private:
  Interpreter& run_;
  std::vector<Value> keys_;
  Value otherwise_;
};

// What is sorted, behind what it is sorted by.
using Keyed = std::vector<std::pair<Value, Value>>;
void SortValues(Interpreter& run, Keyed* keyed, bool reverse);

// What sort and its like compare: the attribute, or a list of those in "a,b"; text in lower case
// unless `case_sensitive`.
Value SortKey(Interpreter& run, const Value& attribute, const Value& item, bool case_sensitive);

}  // namespace lockstep::jinja
