// Ranges of code points as sequences of byte ranges. Stateless.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

inline constexpr uint32_t kMaxCodePoint = 0x10FFFF;

inline bool IsCodePoint(uint32_t code) {
  return code <= kMaxCodePoint && (code < 0xD800 || code > 0xDFFF);
}
// REQUIRES: IsCodePoint(code).
std::string Utf8Of(uint32_t code);
// The first character of `text`. REQUIRES: `text` is UTF-8 and not empty. `length`: its bytes.
uint32_t FirstCodePoint(std::string_view text, size_t* length);

struct CodeRange {
  uint32_t low, high;  // both included
};

// Sorted, without overlaps; neighbours joined, surrogates and what is above Unicode left out.
std::vector<CodeRange> Normalized(std::vector<CodeRange> ranges);
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
