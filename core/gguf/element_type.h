// The types of the elements of GGUF tensors: what the kernels run, by kernels/layout.h, and what
// ggml defines beyond that, so that a file with such a tensor can be listed and refused by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/kernels/layout.h"

namespace lockstep {

struct ElementType {
  uint32_t id;  // in a file
  const char* name;
  // ggml packs a row in blocks of consecutive elements that share scales: a row of Q4_K is blocks
  // of 256 elements in 144 bytes. A row is whole blocks, and types without blocks have 1 element in
  // each.
  size_t block_elements;  // consecutive elements of a row that share one block
  size_t block_bytes;
  std::optional<WeightType> weight = std::nullopt;  // of a matrix of this type; none: not run
};

// nullptr for an id that ggml does not define or has removed.
const ElementType* FindElementType(uint32_t id);

}  // namespace lockstep
