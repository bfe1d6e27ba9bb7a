// The only use of the table of categories outside of regular expressions, which the pretokenizer
// leaves to PCRE2: who turns \p{L} into ranges needs to ask for each character.
#include "core/tokenizer/char_category.h"

#include <utf8proc.h>

namespace lockstep {

std::string_view CharCategory(uint32_t code_point) {
  return utf8proc_category_string(static_cast<utf8proc_int32_t>(code_point));
}

}  // namespace lockstep
