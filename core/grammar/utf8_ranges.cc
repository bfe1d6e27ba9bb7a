#include "core/grammar/utf8_ranges.h"

#include <algorithm>

namespace lockstep {
namespace {

constexpr uint32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

size_t Encode(uint32_t code, uint8_t* bytes) {
  if (code < 0x80) {
    bytes[0] = static_cast<uint8_t>(code);
    return 1;
  }
  const size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  constexpr uint8_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = length - 1; i > 0; --i, code >>= 6) {
    bytes[i] = static_cast<uint8_t>(0x80 | (code & 0x3F));
  }
  bytes[0] = static_cast<uint8_t>(kLead[length] | code);
  return length;
}

}  // namespace

std::string Utf8Of(uint32_t code) {
  uint8_t bytes[4];
  const size_t length = Encode(code, bytes);
  return std::string(reinterpret_cast<const char*>(bytes), length);
}

uint32_t FirstCodePoint(std::string_view text, size_t* length) {
  const auto lead = static_cast<uint8_t>(text[0]);
  *length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t code = *length == 1 ? lead : lead & (0x7Fu >> *length);
  for (size_t i = 1; i < *length; ++i) code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3F);
  return code;
}

std::vector<CodeRange> Normalized(std::vector<CodeRange> ranges) {
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
  return Normalized(std::move(out));
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
  uint8_t low[4], high[4];
  ByteSequence sequence;
  sequence.length = Encode(range.low, low);
  Encode(range.high, high);
  for (size_t i = 0; i < sequence.length; ++i) sequence.bytes[i] = {low[i], high[i]};
  out->push_back(sequence);
}

}  // namespace lockstep
