// What a quoted string of the template stands for.
#pragma once

#include <string>
#include <string_view>

namespace lockstep::jinja {

// Resolves Python's escapes between the quotes; an unknown one stays as it is. Sets *error to a
// sentence where one is malformed.
std::string UnescapeLiteral(std::string_view text, std::string* error);

}  // namespace lockstep::jinja
