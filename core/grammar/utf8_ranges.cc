// A class of characters has to become ranges of bytes, because tokens cut text between any two
// bytes and the automaton reads bytes. As in RE2 (compile.cc) and Rust's utf8-ranges, a range of
// code points is cut until, within each piece, every byte varies independently of the others:
//
//   U+00E9 to U+07FF     [C3] [A9-BF]
//                        [C4-DF] [80-BF]
//
// The first cut is where the number of bytes changes. Then the pieces are cut where the last 6, 12
// and 18 bits, which are the last 1, 2 and 3 bytes, do not run from all zeros to all ones. The
// recursion is at most as deep as there are such cuts in one range, fewer than ten.
#include "core/grammar/utf8_ranges.h"

#include <algorithm>
#include <string>

#include "core/base/utf8.h"

namespace lockstep {
namespace {

constexpr uint32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

}  // namespace

std::vector<CodeRange> Normalized(const std::vector<CodeRange>& ranges) {
  std::vector<CodeRange> valid;
  for (const CodeRange& range : ranges) {
    const CodeRange below = {range.low, std::min(range.high, kFirstSurrogate - 1)};
    const CodeRange above = {std::max(range.low, kLastSurrogate + 1),
                             std::min(range.high, kMaxCodePoint)};
    for (const CodeRange& part : {below, above}) {
      if (part.low <= part.high) valid.push_back(part);
    }
  }
  std::ranges::sort(valid, {}, &CodeRange::low);
  std::vector<CodeRange> out;
  for (const CodeRange& range : valid) {
    if (!out.empty() && range.low <= out.back().high + 1) {
      out.back().high = std::max(out.back().high, range.high);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

std::vector<CodeRange> Complement(const std::vector<CodeRange>& ranges) {
  std::vector<CodeRange> out;
  uint32_t low = 0;
  for (const CodeRange& range : ranges) {
    if (low < range.low) out.push_back({low, range.low - 1});
    low = range.high + 1;
  }
  if (low <= kMaxCodePoint) out.push_back({low, kMaxCodePoint});
  return Normalized(out);
}

void AppendUtf8Ranges(CodeRange range, std::vector<ByteSequence>* out) {
  // Cut where the length changes, then wherever the last bytes do not take all of their values, so
  // that the bytes of what is left are independent of each other.
  for (const uint32_t last : {0x7Fu, 0x7FFu, 0xFFFFu}) {
    if (range.low <= last && range.high > last) {
      AppendUtf8Ranges({range.low, last}, out);
      range.low = last + 1;
    }
  }
  for (uint32_t mask = 0x3F; range.low > 0x7F && mask < 0x40000; mask = mask << 6 | 0x3F) {
    if ((range.low & ~mask) == (range.high & ~mask)) break;
    if ((range.low & mask) != 0) {
      AppendUtf8Ranges({range.low, range.low | mask}, out);
      AppendUtf8Ranges({(range.low | mask) + 1, range.high}, out);
      return;
    }
    if ((range.high & mask) != mask) {
      AppendUtf8Ranges({range.low, (range.high & ~mask) - 1}, out);
      AppendUtf8Ranges({range.high & ~mask, range.high}, out);
      return;
    }
  }
  std::string low, high;
  AppendUtf8(range.low, &low);
  AppendUtf8(range.high, &high);
  ByteSequence sequence;
  sequence.length = low.size();
  for (size_t i = 0; i < low.size(); ++i) {
    sequence.bytes[i] = {static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i])};
  }
  out->push_back(sequence);
}

}  // namespace lockstep
