// A message may reach a terminal or a log, so nothing that a file or a client wrote may act there.
#include "core/base/quoted.h"

#include <fmt/format.h>

#include <cstdint>

#include "core/base/utf8.h"

namespace lockstep {

bool IsControlCharacter(std::string_view character) {
  const uint8_t first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
}

std::string Escaped(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_bytes) return out + "...";
    const Utf8Scan scan = ScanUtf8(text);
    const bool whole = scan.kind == Utf8Scan::Kind::kCharacter;
    const std::string_view character = text.substr(0, scan.length);
    if (!whole || IsControlCharacter(character)) {
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

std::string Listed(std::span<const std::string> names) {
  std::string list;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? " and " : ", ";
    list += names[i];
  }
  return list;
}

}  // namespace lockstep
