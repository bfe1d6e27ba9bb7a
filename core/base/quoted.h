// How text from files and clients is shown in a message. Stateless.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep {

// `text` for a message or a terminal: control characters, quotes, backslashes and bytes that are
// not UTF-8 are escaped; beyond about max_bytes it is cut and ends in "...".
std::string Escaped(std::string_view text, size_t max_bytes = 80);
// The same in double quotes.
std::string Quoted(std::string_view text, size_t max_bytes = 80);

}  // namespace lockstep
