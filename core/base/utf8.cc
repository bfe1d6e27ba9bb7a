// Everything that knows how UTF-8 is laid out stands here, so that no two places of the project can
// disagree on what a malformed byte is.
#include "core/base/utf8.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace lockstep {

Utf8Scan ScanUtf8(std::string_view text) {
  assert(!text.empty());
  using Kind = Utf8Scan::Kind;
  const uint8_t lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {Kind::kCharacter, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Kind::kInvalid, 1};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte of four leads has a narrower range: no overlong forms, no surrogates, nothing
  // above U+10FFFF.
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Kind::kUnfinished, i};
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    if (byte < low || byte > high) return {Kind::kInvalid, i};
    low = 0x80;
    high = 0xBF;
  }
  return {Kind::kCharacter, length};
}

bool IsUtf8(std::string_view text) {
  for (Utf8Scan scan; !text.empty(); text.remove_prefix(scan.length)) {
    scan = ScanUtf8(text);
    if (scan.kind != Utf8Scan::Kind::kCharacter) return false;
  }
  return true;
}

size_t CharacterLength(std::string_view text) {
  const Utf8Scan scan = ScanUtf8(text);
  return scan.kind == Utf8Scan::Kind::kCharacter ? scan.length : 1;
}

uint32_t FirstCodePoint(std::string_view text) {
  const size_t length = CharacterLength(text);
  const uint8_t lead = static_cast<uint8_t>(text[0]);
  uint32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  return code;
}

size_t LastCharacterLength(std::string_view text) {
  const size_t longest = std::min<size_t>(text.size(), 4);
  for (size_t length = 2; length <= longest; ++length) {
    if (CharacterLength(text.substr(text.size() - length)) == length) return length;
  }
  return 1;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(CharacterLength(text));
  return count;
}

size_t CountCharacterStarts(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

size_t CharacterOffset(std::string_view text, size_t index) {
  size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) offset += CharacterLength(text.substr(offset));
  return offset;
}

void AppendUtf8(uint32_t code_point, std::string* out) {
  assert(code_point <= kMaxCodePoint);
  if (code_point < 0x80) {
    out->push_back(static_cast<char>(code_point));
    return;
  }
  const int tails = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
  const uint32_t lead = tails == 1 ? 0xC0 : tails == 2 ? 0xE0 : 0xF0;
  out->push_back(static_cast<char>(lead | code_point >> (6 * tails)));
  for (int tail = tails - 1; tail >= 0; --tail) {
    out->push_back(static_cast<char>(0x80 | (code_point >> (6 * tail) & 0x3F)));
  }
}

std::string Utf8Assembler::Push(std::string_view bytes) {
  const std::string joined = std::exchange(pending_, {}).append(bytes);
  std::string out;
  for (std::string_view rest = joined; !rest.empty();) {
    const Utf8Scan scan = ScanUtf8(rest);
    if (scan.kind == Utf8Scan::Kind::kUnfinished) {
      pending_ = rest;
      break;
    }
    out += scan.kind == Utf8Scan::Kind::kCharacter ? rest.substr(0, scan.length)
                                                   : kReplacementCharacter;
    rest.remove_prefix(scan.length);
  }
  return out;
}

std::string Utf8Assembler::Finish() {
  return std::exchange(pending_, {}).empty() ? std::string() : std::string(kReplacementCharacter);
}

}  // namespace lockstep
