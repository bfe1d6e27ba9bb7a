// Ranges of code points as sequences of byte ranges. Stateless.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep {

struct CodeRange {
  uint32_t low, high;  // both included
};

// Sorted, without overlaps; neighbours joined, surrogates and what is above Unicode left out.
std::vector<CodeRange> Normalized(const std::vector<CodeRange>& ranges);
// Every other character. REQUIRES: `ranges` is Normalized.
std::vector<CodeRange> Complement(const std::vector<CodeRange>& ranges);

struct ByteRange {
  uint8_t low, high;  // both included
};
// A character: byte i is any of bytes[i].
struct ByteSequence {
  std::array<ByteRange, 4> bytes;
  size_t length = 0;
};

// Appends the sequences that together are the characters of a range without surrogates.
void AppendUtf8Ranges(CodeRange range, std::vector<ByteSequence>* out);

}  // namespace lockstep
