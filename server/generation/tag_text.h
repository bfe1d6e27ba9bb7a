// Texts with tags, as chat templates make them: what two of them share, and which tags they begin
// and end with. Pure functions.
#pragma once

#include <cstddef>
#include <string_view>

namespace lockstep {

inline constexpr std::string_view kTemplateSpace = " \t\r\n";

std::string_view RightTrimmed(std::string_view text);
std::string_view LeftTrimmed(std::string_view text);

size_t CommonPrefix(std::string_view a, std::string_view b);
size_t CommonSuffix(std::string_view a, std::string_view b);
// Where the two begin to differ, but not in the middle of a tag.
size_t CommonBegin(std::string_view a, std::string_view b);
// What their ends share, from where a word of a form may begin: tags and brackets are not cut.
size_t NaturalSuffix(std::string_view a, std::string_view b);

// The tag that the text begins or ends with: "<...>" or "[...]", else nothing.
std::string_view TagAtBegin(std::string_view text);
std::string_view TagAtEnd(std::string_view text);

}  // namespace lockstep
