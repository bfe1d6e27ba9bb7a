// What several JSON schemas say together, as one schema; and where references lead. Stateless.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "server/json/json_text.h"

namespace lockstep {

enum class SchemaKeyword {
  kAssertion,   // says what values are allowed, and is understood
  kAnnotation,  // says nothing about values
  kUnknown,
};
SchemaKeyword FindSchemaKeyword(std::string_view keyword);

// Lists and properties that are joined may have so many entries: joining compares them in pairs.
inline constexpr size_t kMaxJoined = 1000;

// Both at once, without annotations. Errors are kInvalidArgument and name the keyword that cannot
// be joined.
[[nodiscard]] Result<Json> MergeSchemas(const Json& a, const Json& b);

// The JSON pointer of a member or an item of what `path` points to.
std::string ChildPointer(const std::string& path, std::string_view child);

// What "#", "#/$defs/name" or another pointer into `root` refers to; null if there is nothing.
const Json* FindReference(const Json& root, std::string_view reference);

}  // namespace lockstep
