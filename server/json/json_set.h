// A set of JSON values, asked without comparing a client's lists in pairs. Values are equal as the
// library says, 1 and 1.0 too. Does not own them. Not thread-safe.
#pragma once

#include <cstddef>
#include <unordered_set>

#include "server/json/json_text.h"

namespace lockstep {

class JsonSet {
 public:
  JsonSet() = default;
  // A set of the items of a list, which must outlive it.
  explicit JsonSet(const Json& list);

  bool Add(const Json& value);  // false if an equal one is in it
  bool Contains(const Json& value) const { return values_.contains(&value); }

 private:
  struct Hash {
    size_t operator()(const Json* value) const;
  };
  struct Same {
    bool operator()(const Json* a, const Json* b) const { return *a == *b; }
  };
  std::unordered_set<const Json*, Hash, Same> values_;
};

}  // namespace lockstep
