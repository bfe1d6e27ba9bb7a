#include "core/base/quoted.h"

#include <fmt/format.h>

#include <cstdint>

#include "core/base/utf8.h"

namespace lockstep {
namespace {

// The length of the character at the front of `text`, 0 if there is no well-formed one.
size_t CharacterLength(std::string_view text) {
  const Utf8Scan scan = ScanUtf8(text);
  return scan.kind == Utf8Scan::Kind::kCharacter ? scan.length : 0;
}

// C0, DEL and C1 (U+0080 to U+009F): what a terminal may act on.
bool IsControlCharacter(std::string_view character) {
  const uint8_t first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Escaped(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_bytes) return out + "...";
    const size_t length = CharacterLength(text);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    if (length == 0 || IsControlCharacter(character)) {
      for (const char c : character) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    } else {
      if (character == "\"" || character == "\\") out += '\\';
      out += character;
    }
    text.remove_prefix(character.size());
  }
  return out;
}

std::string Quoted(std::string_view text, size_t max_bytes) {
  return '"' + Escaped(text, max_bytes) + '"';
}

}  // namespace lockstep
