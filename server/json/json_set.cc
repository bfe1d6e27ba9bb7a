// What is equal must have equal hashes, and the library's own do not: it tells 1 from 1.0. Numbers
// are hashed as doubles here, and what has members by those of its members.
#include "server/json/json_set.h"

#include <functional>
#include <string>

namespace lockstep {
namespace {

size_t HashOf(const Json& value) {
  const auto joined = [](size_t hash, size_t other) {
    return (hash ^ other) * 0x9e3779b97f4a7c15u + (hash >> 31);
  };
  auto hash = static_cast<size_t>(value.type());
  if (value.is_number()) return std::hash<double>()(value.get<double>());
  if (value.is_string()) return std::hash<std::string>()(value.get_ref<const std::string&>());
  if (IsNumber(value)) return std::hash<std::string>()(BigIntegerDigits(value));
  if (value.is_boolean()) return joined(hash, value.get<bool>() ? 1 : 2);
  if (!value.is_array() && !value.is_object()) return hash;
  for (const auto& [key, item] : value.items()) {
    if (value.is_object()) hash = joined(hash, std::hash<std::string>()(key));
    hash = joined(hash, HashOf(item));
  }
  return hash;
}

}  // namespace

JsonSet::JsonSet(const Json& list) {
  for (const Json& value : list) Add(value);
}

bool JsonSet::Add(const Json& value) { return values_.insert(&value).second; }

size_t JsonSet::Hash::operator()(const Json* value) const { return HashOf(*value); }

}  // namespace lockstep
