// Text from files and clients: is it UTF-8, and how to show it in a message.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep {

// Well-formed as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// `text` for a message or a terminal: control characters, quotes, backslashes and bytes that are
// not UTF-8 are escaped; beyond about max_bytes it is cut and ends in "...".
std::string Escaped(std::string_view text, size_t max_bytes = 80);
// The same in double quotes.
std::string Quoted(std::string_view text, size_t max_bytes = 80);

}  // namespace lockstep
