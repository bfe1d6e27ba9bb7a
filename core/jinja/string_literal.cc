// jinja2 decodes a literal with Python's "unicode-escape", so that its escapes are Python's. One
// that names a surrogate is refused, since a prompt is UTF-8 and could not hold it.
#include "core/jinja/string_literal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "core/base/quoted.h"
#include "core/base/utf8.h"

namespace lockstep::jinja {
namespace {

// \xHH, \uHHHH, \UHHHHHHHH or up to three octal digits: `size` digits behind the first `skip`
// characters of `text`, which begins at the backslash. Returns how much of `text` is used up, which
// on an error is all of it.
size_t AppendNumbered(std::string_view text, size_t skip, size_t size, int base, std::string* out,
                      std::string* error) {
  const std::string_view digits = text.substr(skip, size);
  uint32_t c = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), c, base);
  const size_t used = static_cast<size_t>(end - digits.data());
  const bool surrogate = c >= 0xD800 && c < 0xE000;
  if (ec != std::errc() || (base == 16 && used != size) || surrogate || c > 0x10FFFF) {
    *error = fmt::format("a string has the escape {}, which names no character",
                         Quoted(text.substr(0, skip + size), 20));
    return text.size();
  }
  AppendUtf8(c, out);
  return skip + used;
}

}  // namespace

std::string UnescapeLiteral(std::string_view text, std::string* error) {
  // What the letters mean stands at the same places of the second list.
  static constexpr std::string_view kLetters = "nrtabfv\\'\"";
  static constexpr std::string_view kMeanings = "\n\r\t\a\b\f\v\\'\"";
  std::string out;
  while (!text.empty() && error->empty()) {
    const size_t plain = std::min(text.find('\\'), text.size());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.size() < 2) break;
    const char letter = text[1];
    size_t used = 2;
    if (const size_t at = kLetters.find(letter); at != kLetters.npos) {
      out += kMeanings[at];
    } else if (letter == 'x' || letter == 'u' || letter == 'U') {
      const size_t size = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
      used = AppendNumbered(text, 2, size, 16, &out, error);
    } else if (letter >= '0' && letter <= '7') {
      used = AppendNumbered(text, 1, 3, 8, &out, error);
    } else if (letter != '\n') {  // a newline behind a backslash is left out
      out += '\\';
      used = 1;
    }
    text.remove_prefix(used);
  }
  return out;
}

}  // namespace lockstep::jinja
