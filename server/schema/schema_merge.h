// The keywords of JSON schemas, what several schemas say together as one schema, and where
// references lead. Stateless.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
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
};
// Null for a keyword that is not supported.
const SchemaKeyword* FindSchemaKeyword(std::string_view keyword);
// Says nothing about which values are allowed.
bool IsAnnotation(std::string_view keyword);
// What a schema without a type is about, by its keywords; empty if they do not say.
std::string_view ImpliedType(const Json& schema);
// Whether anything in the schema is about which values are allowed.
bool Asserts(const Json& schema);
Json Without(const Json& schema, std::string_view keyword);
// Whether `not` forbids texts by a pattern or a format, and with them all that is no text, which
// passes these.
bool ForbidsTexts(const Json& schema);

// Both at once, without annotations. Errors are kInvalidArgument and name the keyword that cannot
// be joined; it is their `param`.
[[nodiscard]] Result<Json> MergeSchemas(const Json& a, const Json& b);

// The same schema for joining it with others that hold beside it, where these list members or
// items: with additionalProperties and items for what it says of unevaluated ones. Errors are
// kInvalidArgument, where schemas in it list some, too, or others list those that it binds; their
// `param` is the keyword.
[[nodiscard]] Result<Json> WithOwnUnevaluated(Json schema, const std::vector<const Json*>& others);

// A schema for what `schema` forbids: by De Morgan's laws down to `not` of an enum, a pattern or a
// format, which stays. Errors are kInvalidArgument, also where the members that it lists would
// count as evaluated in `beside`, a schema with which it is to be joined.
[[nodiscard]] Result<Json> NegateSchema(const Json& schema, const Json& beside = true);

// The same schema without if, then, else and what depends on properties, as choices between
// schemas. Errors are kInvalidArgument, their `param` is the keyword.
[[nodiscard]] Result<Json> WithoutConditions(const Json& schema);

// The JSON pointer of a member or an item of what `path` points to.
std::string ChildPointer(const std::string& path, std::string_view child);

// What "#", "#/$defs/name" or another pointer into `root` refers to; null if there is nothing.
const Json* FindReference(const Json& root, std::string_view reference);

}  // namespace lockstep
