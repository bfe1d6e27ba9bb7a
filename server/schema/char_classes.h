// Sets of characters that regular expressions name. Immutable, made at their first use.
#pragma once

#include <string_view>
#include <vector>

#include "core/grammar/utf8_ranges.h"

namespace lockstep {

// Every character there is.
const std::vector<CodeRange>& AllChars();

// The characters of a general category of Unicode by its name in \p{...}: L, Lu, Letter, gc=Lu.
// Null if there is no such category.
const std::vector<CodeRange>* CharsOfCategory(std::string_view name);

}  // namespace lockstep
