#include "core/jinja/unicode.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <iterator>

#include "core/base/utf8.h"

namespace lockstep::jinja {
namespace {

// glibc's tables of Unicode. Made once and never freed: it serves every thread until the end.
locale_t Locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

bool IsAscii(uint32_t c) { return c < 0x80; }
bool IsAsciiLetter(uint32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
wint_t Wide(uint32_t c) { return static_cast<wint_t>(c); }

// The letters whose other case is more than one letter.
struct LongCase {
  uint32_t letter;
  std::string_view mapped;
};
constexpr LongCase kLongUpper[] = {{0xDF, "SS"},   {0xFB00, "FF"},  {0xFB01, "FI"},
                                   {0xFB02, "FL"}, {0xFB03, "FFI"}, {0xFB04, "FFL"},
                                   {0xFB05, "ST"}, {0xFB06, "ST"}};
constexpr LongCase kLongLower[] = {{0x130, "i\xCC\x87"}};

template <size_t kCount, class Map>
std::string Mapped(std::string_view text, const LongCase (&longer)[kCount], Map map) {
  std::string out;
  for (size_t length; !text.empty(); text.remove_prefix(length)) {
    length = CharacterLength(text);
    const uint32_t c = FirstCharacter(text);
    const auto* const found = std::find_if(std::begin(longer), std::end(longer),
                                           [c](const LongCase& one) { return one.letter == c; });
    const uint32_t mapped = map(c);
    if (found != std::end(longer)) {
      out += found->mapped;
    } else if (mapped == c) {
      out += text.substr(0, length);
    } else {
      AppendCharacter(mapped, &out);
    }
  }
  return out;
}

}  // namespace

size_t CharacterLength(std::string_view text) {
  if (IsAscii(static_cast<uint8_t>(text[0]))) return 1;
  const Utf8Scan scan = ScanUtf8(text);
  return scan.kind == Utf8Scan::Kind::kCharacter ? scan.length : 1;
}

uint32_t FirstCharacter(std::string_view text) {
  const size_t length = CharacterLength(text);
  const uint8_t first = static_cast<uint8_t>(text[0]);
  if (length == 1) return first;
  uint32_t c = first & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) c = c << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  return c;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) i += CharacterLength(text.substr(i));
  return count;
}

size_t CharacterOffset(std::string_view text, size_t index) {
  size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) offset += CharacterLength(text.substr(offset));
  return offset;
}

void AppendCharacter(uint32_t c, std::string* out) {
  if (c < 0x800) return AppendUtf8(c, out);
  const auto tail = [](uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
  if (c < 0x10000) {
    *out += static_cast<char>(0xE0 | c >> 12);
  } else {
    *out += static_cast<char>(0xF0 | c >> 18);
    *out += tail(c >> 12);
  }
  *out += tail(c >> 6);
  *out += tail(c);
}

bool IsSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool IsAlpha(uint32_t c) {
  return IsAscii(c) ? IsAsciiLetter(c) : iswalpha_l(Wide(c), Locale()) != 0;
}
bool IsDigit(uint32_t c) { return c >= '0' && c <= '9'; }
bool IsUpper(uint32_t c) { return iswupper_l(Wide(c), Locale()) != 0; }
bool IsLower(uint32_t c) { return iswlower_l(Wide(c), Locale()) != 0; }
bool IsPrintable(uint32_t c) {
  return c == ' ' || (!IsSpace(c) && iswprint_l(Wide(c), Locale()) != 0);
}

std::string Upper(std::string_view text) {
  return Mapped(text, kLongUpper, [](uint32_t c) {
    return IsAscii(c) ? (c >= 'a' && c <= 'z' ? c - 0x20 : c)
                      : static_cast<uint32_t>(towupper_l(Wide(c), Locale()));
  });
}

std::string Lower(std::string_view text) {
  return Mapped(text, kLongLower, [](uint32_t c) {
    return IsAscii(c) ? (c >= 'A' && c <= 'Z' ? c + 0x20 : c)
                      : static_cast<uint32_t>(towlower_l(Wide(c), Locale()));
  });
}

}  // namespace lockstep::jinja
