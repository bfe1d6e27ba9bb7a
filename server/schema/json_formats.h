// What "format" asks of strings, as patterns. Stateless.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// The pattern of a format: empty if it is not supported.
std::string_view FormatPattern(std::string_view format);
// Whether a format is known to ask for nothing: it names what the text is for, not how it looks.
bool FormatIsAnnotation(std::string_view format);
// The names of those that have a pattern, for a message.
std::string FormatNames();

}  // namespace lockstep
