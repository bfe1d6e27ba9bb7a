// Between text and JSON values: the one door to the JSON library. Reading is stricter than the
// library, because a client's mistake deserves an answer and not a guess. Nothing here throws.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace lockstep {

// Keeps the order of keys: of what we write, and of schemas that chat templates show to the model.
using Json = nlohmann::ordered_json;

inline constexpr size_t kMaxJsonDepth = 64;   // copying and rendering recurse: depth is stack
inline constexpr size_t kMaxJsonKeys = 1024;  // of one object: a key is found by looking at all

// An object, well-formed UTF-8 without a byte order mark, at most 64 levels deep, no key twice, no
// number that a double cannot hold. Errors are kInvalidArgument and quote nothing but keys. An
// integer that 64 bits do not hold is a BigInteger.
[[nodiscard]] Result<Json> ParseStrictObject(std::string_view text);

// About what ParseStrictObject takes of memory for such a text, and no less.
size_t ParsedBytes(std::string_view text);

// An integer with all of its digits, which the library has no number for. No reader of a field
// takes it for a number.
Json BigInteger(std::string_view digits);
std::string BigIntegerDigits(const Json& value);  // empty if the value is no such integer
// Whether it is a number of JSON's: of the library's kinds or a BigInteger, whose text Dump gives.
bool IsNumber(const Json& value);

// The object's member of that name, unless it is null or there is none, which is all one to
// clients.
const Json* FindField(const Json& object, std::string_view name);
// The text of that member, or `otherwise` where it is none.
std::string TextField(const Json& object, std::string_view name, std::string otherwise = {});

// On one line, a BigInteger with its digits. Bytes that are not UTF-8 (a single token need not be
// whole characters) become U+FFFD.
std::string Dump(const Json& json);
// One string as Dump writes it, in quotes: for who writes the rest of a small object as text.
std::string DumpString(std::string_view text);

}  // namespace lockstep
