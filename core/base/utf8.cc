#include "core/base/utf8.h"

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

void AppendUtf8(uint32_t code_point, std::string* out) {
  assert(code_point < 0x800);
  if (code_point < 0x80) {
    out->push_back(static_cast<char>(code_point));
    return;
  }
  out->push_back(static_cast<char>(0xC0 | (code_point >> 6)));
  out->push_back(static_cast<char>(0x80 | (code_point & 0x3F)));
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
