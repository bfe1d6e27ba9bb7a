// Characters as Python's str sees them: counted in code points, with Unicode's letter cases and
// white space. Stateless; bytes that are not UTF-8 count as one character each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::jinja {

size_t CharacterLength(std::string_view text);   // in bytes. REQUIRES: !text.empty()
uint32_t FirstCharacter(std::string_view text);  // its code point. REQUIRES: !text.empty()
size_t CountCharacters(std::string_view text);
// Where the character of that index begins; the size of `text` if there are not as many.
size_t CharacterOffset(std::string_view text, size_t index);
void AppendCharacter(uint32_t code_point, std::string* out);  // of any size, as UTF-8

bool IsSpace(uint32_t c);
bool IsAlpha(uint32_t c);
bool IsDigit(uint32_t c);
bool IsUpper(uint32_t c);
bool IsLower(uint32_t c);
bool IsPrintable(uint32_t c);
std::string Upper(std::string_view text);
std::string Lower(std::string_view text);

}  // namespace lockstep::jinja
