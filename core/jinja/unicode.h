// What Python's str knows of a character: Unicode's letter cases, white space and printability.
// Stateless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::jinja {

bool IsSpace(uint32_t c);
bool IsAlpha(uint32_t c);
bool IsDigit(uint32_t c);
bool IsUpper(uint32_t c);
bool IsLower(uint32_t c);
bool IsPrintable(uint32_t c);
std::string Upper(std::string_view text);
std::string Lower(std::string_view text);

}  // namespace lockstep::jinja
