// The keywords of JSON schemas, and what a schema says by having them. Stateless.
#pragma once

#include <string_view>

#include "server/json/json_text.h"

namespace lockstep {

// What a keyword becomes if two schemas that must hold together have it.
enum class SchemaJoin {
  kOnce,     // an error, unless both say the same
  kLarger,   // the larger number
  kSmaller,  // the smaller one
  kTypes,    // the types in both lists
  kCommon,   // the values in both lists
  kUnion,    // the entries of both lists
  kMembers,  // the members of both objects, those of one name in allOf
  kBoth,     // allOf of the two
  kPlaces,   // for prefixItems: item by item, with the other schema's items behind its last
  kNeither,  // for `not`: anyOf of the two
  kLater,    // an entry of the joined schema's own allOf
  kEither,   // true if one of them is
  kEvery,    // true if both are
};

struct SchemaKeyword {
  std::string_view name;
  std::string_view type;  // of the values that it is about: empty, any
  SchemaJoin join;
  // The keyword of what breaks this one, with a number that is so much more: minLength 3 is broken
  // by maxLength 2. Empty: see schema_negate.cc.
  std::string_view broken_by = {};
  int more = 0;
};
// Null for a keyword that is not supported.
const SchemaKeyword* FindSchemaKeyword(std::string_view keyword);
// Says nothing about which values are allowed.
bool IsAnnotation(std::string_view keyword);
// What a schema without a type is about, by its keywords; empty if they do not say.
std::string_view ImpliedType(const Json& schema);
// Whether anything in the schema is about which values are allowed.
bool Asserts(const Json& schema);
// Whether schemas in this one apply to the same value (in-place applicators, JSON Schema 10.2),
// `not` aside, whose schema is for other values.
bool AppliesInPlace(const Json& schema);
// Whether `schema` lists a member by "properties" or "patternProperties" that `other` does not,
// unless it forbids it.
bool ListsMore(const Json& schema, const Json& other, const char* by);
Json Without(const Json& schema, std::string_view keyword);
}  // namespace lockstep
