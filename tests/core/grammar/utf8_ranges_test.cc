#include "core/grammar/utf8_ranges.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

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

TEST(Utf8RangesTest, CharactersBecomeTheirBytesAndBack) {
  for (const uint32_t code : {0x0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    const std::string text = Utf8Of(code);
    size_t length;
    EXPECT_EQ(FirstCodePoint(text + "x", &length), code);
    EXPECT_EQ(length, text.size());
  }
  EXPECT_EQ(Utf8Of(0x20AC), "\u20ac");
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
        EXPECT_EQ(Matches(sequences, Utf8Of(code)), whole.low <= code && code <= whole.high)
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
