// Regular expressions over the characters of a JSON string, as GBNF that matches the string as it
// is written in JSON. Stateless.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace lockstep {

// What stands between the quotes of a string in which `pattern` (ECMA-262, with the u flag) finds a
// match. Where it is not anchored by ^ and $, `any_char` (a rule's name) may come before and after.
// Errors are kInvalidArgument and say what is not supported: look-around, back references, word
// boundaries, \p{...}, flags, and anchors elsewhere than at the ends of an alternative.
[[nodiscard]] Result<std::string> PatternToGbnf(std::string_view pattern,
                                                std::string_view any_char);

// The pattern of a "format"; empty if it is not supported.
std::string_view FormatPattern(std::string_view format);
// The names of those that are, for a message.
std::string FormatNames();

}  // namespace lockstep
