// Unicode's general categories of characters. Stateless.
#pragma once

#include <cstdint>
#include <string_view>

namespace lockstep {

// Two letters, such as "Lu" for an upper-case letter; "Cn" where no character is.
std::string_view CharCategory(uint32_t code_point);

}  // namespace lockstep
