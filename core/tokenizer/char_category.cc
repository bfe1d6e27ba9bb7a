// The only use of the tables of characters outside of regular expressions, which the pretokenizer
// leaves to PCRE2: who turns \p{L} into ranges, or reads a text letter by letter, asks for each
// character.
#include "core/tokenizer/char_category.h"

#include <utf8proc.h>

namespace lockstep {

std::string_view CharCategory(uint32_t code_point) {
  return utf8proc_category_string(static_cast<utf8proc_int32_t>(code_point));
}

uint32_t LowerCase(uint32_t code_point) {
  return static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point)));
}

}  // namespace lockstep
