// How text from files and clients is shown in a message. Stateless.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

// What a terminal may act on: C0, DEL and C1 (U+0080 to U+009F). REQUIRES: !character.empty().
bool IsControlCharacter(std::string_view character);

// `text` for a message or a terminal: control characters, quotes, backslashes and bytes that are
// not UTF-8 are escaped; beyond about max_bytes it is cut and ends in "...".
std::string Escaped(std::string_view text, size_t max_bytes = 80);
// Escaped text in double quotes.
std::string Quoted(std::string_view text, size_t max_bytes = 80);

// The names as a sentence lists them: "a, b and c".
std::string Listed(std::span<const std::string> names);

}  // namespace lockstep
