// Python has its own tables of Unicode, glibc has nearly the same, and templates change the case of
// little but ASCII. So the tables are glibc's in its locale C.UTF-8, which needs no files, with
// Python's answers written out where the two are known to differ. newlocale and the ..._l functions
// leave the process's locale alone.
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
  static const locale_t kLocale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return kLocale;
}

bool IsAscii(uint32_t c) { return c < 0x80; }
bool IsAsciiLetter(uint32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
wint_t Wide(uint32_t c) { return static_cast<wint_t>(c); }

// glibc maps one character to one. Unicode's SpecialCasing.txt has letters whose other case is
// several: here are ß, the Latin ligatures and the Turkish İ; the others stay as glibc has them.
struct LongCase {
  uint32_t letter;
  std::string_view mapped;
};
constexpr LongCase kLongUpper[] = {{0xDF, "SS"},   {0xFB00, "FF"},  {0xFB01, "FI"},
                                   {0xFB02, "FL"}, {0xFB03, "FFI"}, {0xFB04, "FFL"},
                                   {0xFB05, "ST"}, {0xFB06, "ST"}};
constexpr LongCase kLongLower[] = {{0x130, "i\xCC\x87"}};

// What glibc prints and Python escapes: format characters and those for private use, Unicode's
// categories Cf and Co.
struct CodeRange {
  uint32_t first, last;
};
constexpr CodeRange kHidden[] = {
    {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
    {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},
    {0x8E2, 0x8E2},     {0x180E, 0x180E},   {0x200B, 0x200F},
    {0x202A, 0x202E},   {0x2060, 0x206F},   {0xE000, 0xF8FF},
    {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},   {0x110BD, 0x110BD},
    {0x110CD, 0x110CD}, {0x13430, 0x13438}, {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A}, {0xE0001, 0xE007F}, {0xF0000, kMaxCodePoint},
};

// `map` gives a character's other case, itself if it has none; `longer` overrules it.
template <size_t kCount, class Map>
std::string Mapped(std::string_view text, const LongCase (&longer)[kCount], Map map) {
  std::string out;
  for (size_t length; !text.empty(); text.remove_prefix(length)) {
    length = CharacterLength(text);
    const uint32_t c = FirstCodePoint(text);
    const auto* const found = std::find_if(std::begin(longer), std::end(longer),
                                           [c](const LongCase& one) { return one.letter == c; });
    const uint32_t mapped = map(c);
    if (found != std::end(longer)) {
      out += found->mapped;
    } else if (mapped == c) {
      out += text.substr(0, length);
    } else {
      AppendUtf8(mapped, &out);
    }
  }
  return out;
}

}  // namespace

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
  const bool hidden = std::any_of(std::begin(kHidden), std::end(kHidden), [c](const auto& range) {
    return c >= range.first && c <= range.last;
  });
  return c == ' ' || (!IsSpace(c) && !hidden && iswprint_l(Wide(c), Locale()) != 0);
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
