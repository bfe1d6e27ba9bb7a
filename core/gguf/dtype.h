// The element types of GGUF tensors: ids, names and block sizes as the GGUF specification and
// ggml define them. Types that lockstep only recognises have supported == false.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

enum class DType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30
};

struct DTypeInfo {
  uint32_t id;
  const char* name;
  size_t block_elements;  // consecutive elements of a row that share one block
  size_t block_bytes;
  bool supported;
};

// nullptr for an id that ggml does not define or has removed.
const DTypeInfo* FindDType(uint32_t id);

}  // namespace lockstep
