#include "core/grammar/utf8_ranges.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/utf8.h"

namespace lockstep {
namespace {

bool Matches(const std::vector<ByteSequence>& sequences, std::string_view bytes) {
  for (const ByteSequence& sequence : sequences) {
    bool matches = sequence.length == bytes.size();
    for (size_t i = 0; matches && i < bytes.size(); ++i) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      matches = sequence.bytes[i].low <= byte && byte <= sequence.bytes[i].high;
    }
    if (matches) return true;
  }
  return false;
}

std::string Utf8(uint32_t code) {
  std::string text;
  AppendUtf8(code, &text);
  return text;
}

// Around each end of each range, where lengths and continuation bytes change.
TEST(Utf8RangesTest, SequencesAreTheCharactersOfTheRangeAndNoOthers) {
  const CodeRange ranges[] = {{0, 0x7F},        {0xE9, 0x7FF},     {0x41, 0x10FFFF - 1},
                              {0x7FF, 0x800},   {0xE000, 0xFFFD},  {0x1F600, 0x1F64F},
                              {0xABC, 0x12345}, {0x40000, 0x40000}};
  for (const CodeRange& whole : ranges) {
    std::vector<ByteSequence> sequences;
    for (const CodeRange& part : Normalized({whole})) AppendUtf8Ranges(part, &sequences);
    for (const uint32_t end : {whole.low, whole.high, 0x80u, 0x800u, 0xD800u, 0xE000u, 0x10000u}) {
      for (uint32_t code = end < 70 ? 0 : end - 70; code < end + 70; ++code) {
        if (!IsCodePoint(code)) continue;
        EXPECT_EQ(Matches(sequences, Utf8(code)), whole.low <= code && code <= whole.high)
            << code << " in " << whole.low << " to " << whole.high;
      }
    }
  }
}

TEST(Utf8RangesTest, ClassesAreSortedJoinedAndWithoutSurrogates) {
  const auto ends = [](const std::vector<CodeRange>& ranges) {
    std::vector<uint32_t> out;
    for (const CodeRange& range : ranges) out.insert(out.end(), {range.low, range.high});
    return out;
  };
  using Ends = std::vector<uint32_t>;
  EXPECT_EQ(ends(Normalized({{'c', 'd'}, {'a', 'b'}, {'x', 'z'}, {'y', 'y'}})),
            (Ends{'a', 'd', 'x', 'z'}));
  EXPECT_EQ(ends(Normalized({{0xD000, 0xE000}})), (Ends{0xD000, 0xD7FF, 0xE000, 0xE000}));
  EXPECT_EQ(ends(Normalized({{0xD900, 0xDA00}, {0x110000, 0x120000}})), Ends{});
  EXPECT_EQ(ends(Complement({{'a', 'z'}})),
            (Ends{0, 'a' - 1, 'z' + 1, 0xD7FF, 0xE000, kMaxCodePoint}));
  EXPECT_EQ(ends(Complement(Normalized({{0, kMaxCodePoint}}))), Ends{});
}

}  // namespace
}  // namespace lockstep
