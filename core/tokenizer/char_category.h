// What Unicode says of single characters. Stateless.
#pragma once

#include <cstdint>
#include <string_view>

namespace lockstep {

// Two letters, such as "Lu" for an upper-case letter; "Cn" where no character is.
std::string_view CharCategory(uint32_t code_point);
// The lower-case letter of an upper-case one, else the character itself. Without the one letter
// that has two for it, U+0130.
uint32_t LowerCase(uint32_t code_point);

}  // namespace lockstep
