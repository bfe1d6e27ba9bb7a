// Between text and JSON values: the one door to the JSON library. Reading is stricter than the
// library, because a client's mistake deserves an answer and not a guess. Nothing here throws.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/status.h"

namespace lockstep {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  // keeps the order in which we write

inline constexpr size_t kMaxJsonDepth = 64;  // copying and rendering recurse: depth is stack

// An object, well-formed UTF-8 without a byte order mark, at most 64 levels deep, no key twice, no
// number that a double cannot hold. Errors are kInvalidArgument and quote nothing but keys.
[[nodiscard]] Result<Json> ParseStrictObject(std::string_view text);
// The same with members in the order of the text, for what is read with care for it: JSON schemas.
// Looking a member up takes time by their number, so an object has at most kMaxOrderedMembers.
inline constexpr size_t kMaxOrderedMembers = 1000;
[[nodiscard]] Result<OrderedJson> ParseOrderedObject(std::string_view text);

// On one line. Bytes that are not UTF-8 (a single token need not be whole characters) become
// U+FFFD.
std::string Dump(const OrderedJson& json);

}  // namespace lockstep
