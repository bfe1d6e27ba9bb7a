// Unicode's categories of characters as BERT's tokenizer knows them. Stateless.
#pragma once

#include <cstdint>
#include <string_view>

namespace lockstep {

// The category in two letters, as CharCategory has it, but by the tables of Unicode 8.
std::string_view WordPieceCategory(uint32_t code_point);

}  // namespace lockstep
