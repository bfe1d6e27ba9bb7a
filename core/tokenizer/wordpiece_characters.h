// Unicode's categories of characters as BERT's tokenizer knows them. Stateless.
#pragma once

#include <cstdint>
#include <string_view>

namespace lockstep {

// As CharCategory.
std::string_view WordPieceCategory(uint32_t code_point);

}  // namespace lockstep
