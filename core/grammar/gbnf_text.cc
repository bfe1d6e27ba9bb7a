// Characters as GBNF has them, for who writes rules: the other direction of gbnf.cc.
#include <fmt/format.h>

#include "core/base/utf8.h"
#include "core/grammar/grammar.h"

namespace lockstep {
namespace {

// What means something in literals or classes, or cannot be seen, is escaped.
std::string Escape(uint32_t code, std::string_view special) {
  if (code < 0x20 || code == 0x7F) return fmt::format("\\x{:02X}", code);
  std::string text;
  AppendUtf8(code, &text);
  return special.find(text) == special.npos ? text : "\\" + text;
}

}  // namespace

std::string GbnfLiteral(std::string_view text) {
  std::string out = "\"";
  for (; !text.empty(); text.remove_prefix(CharacterLength(text))) {
    out += Escape(FirstCodePoint(text), "\"\\");
  }
  return out + '"';
}

std::string GbnfClassChar(uint32_t code_point) {
  if (code_point == '-' || code_point == '^') return fmt::format("\\x{:02X}", code_point);
  return Escape(code_point, "\\[]");
}

}  // namespace lockstep
