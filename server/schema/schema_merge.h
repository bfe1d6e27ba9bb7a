// What several schemas say together as one schema, and where references lead. Stateless.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/json/json_text.h"

namespace lockstep {

// Whether `not` forbids texts by a pattern or a format, and with them all that is no text, which
// passes these.
bool ForbidsTexts(const Json& schema);

// A schema for what both allow, without annotations. Errors are kInvalidArgument and name the
// keyword that cannot be joined; it is their `param`.
[[nodiscard]] Result<Json> MergeSchemas(const Json& a, const Json& b);

// The schema made ready for joining with others that hold beside it, where these list members or
// items: with additionalProperties and items for what it says of unevaluated ones. Errors are
// kInvalidArgument, where schemas in it list some, too, or others list those that it binds; their
// `param` is the keyword.
[[nodiscard]] Result<Json> WithOwnUnevaluated(Json schema, const std::vector<const Json*>& others);

// A schema for what `schema` forbids: by De Morgan's laws down to `not` of an enum, a pattern or a
// format, which stays. Errors are kInvalidArgument, also where the members that it lists would
// count as evaluated in `beside`, a schema with which it is to be joined.
[[nodiscard]] Result<Json> NegateSchema(const Json& schema, const Json& beside = true);

// The schema without if, then, else and what depends on properties, which become choices between
// schemas. Errors are kInvalidArgument, their `param` is the keyword.
[[nodiscard]] Result<Json> WithoutConditions(const Json& schema);

// The JSON pointer of a member or an item of what `path` points to.
std::string ChildPointer(const std::string& path, std::string_view child);

// What "#", "#/$defs/name" or another pointer into `root` refers to; null if there is nothing.
const Json* FindReference(const Json& root, std::string_view reference);

}  // namespace lockstep
