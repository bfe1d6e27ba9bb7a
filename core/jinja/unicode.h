// What Python's str knows of a character: Unicode's letter cases, white space and printability.
// Stateless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::jinja {

// What asks about a character takes its code point. IsSpace is str.isspace: category Zs, and the
// bidirectional classes WS, B and S, which include the control characters 0x1C to 0x1F.
bool IsSpace(uint32_t c);
bool IsAlpha(uint32_t c);
// It knows ASCII only, whereas Python knows the digits of all scripts.
bool IsDigit(uint32_t c);
bool IsUpper(uint32_t c);
bool IsLower(uint32_t c);
// Whether repr() writes the character as it is rather than as an escape.
bool IsPrintable(uint32_t c);
// REQUIRES: UTF-8. The result may be longer: "ß" becomes "SS".
std::string Upper(std::string_view text);
std::string Lower(std::string_view text);

}  // namespace lockstep::jinja
