// std::to_chars and std::from_chars do the arithmetic; what stands here is where Python's texts
// differ from C++'s: underscores, white space, prefixes, and when an exponent is written.
#include "core/jinja/numbers.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

// Without the white space around it and the "_" between digits; empty if it has any elsewhere.
std::string Cleaned(std::string_view text) {
  while (!text.empty() && IsSpace(static_cast<uint8_t>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && IsSpace(static_cast<uint8_t>(text.back()))) text.remove_suffix(1);
  if (text.starts_with('+') && !text.substr(1).starts_with('-')) text.remove_prefix(1);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const bool between = i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (!between) return "";
  }
  return out;
}

}  // namespace

// std::to_chars finds the shortest digits; what differs is where Python changes to an exponent
// (from 1e16 on and below 1e-4) and that it always writes a point.
std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific);
  std::string text(buffer.data(), end.ptr);
  const size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return text;
  const std::string sign = text[0] == '-' ? "-" : "";
  std::string digits = text.substr(sign.size(), e - sign.size());
  if (digits.size() > 1) digits.erase(1, 1);  // the point
  if (exponent < 0) {
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  }
  const size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() < whole + 1) digits.append(whole + 1 - digits.size(), '0');
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::optional<double> ParseFloat(std::string_view text) {
  const std::string cleaned = Lower(Cleaned(text));
  double value = 0;
  const char* const end = cleaned.data() + cleaned.size();
  const auto result = std::from_chars(cleaned.data(), end, value);
  // from_chars reads "nan(text)" as C does, Python does not.
  if (cleaned.empty() || result.ptr != end || cleaned.find('(') != cleaned.npos)
    return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) return std::nullopt;
  return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<Value> ParseInt(std::string_view text, int base) {
  std::string cleaned = Lower(Cleaned(text));
  const bool negative = cleaned.starts_with('-');
  const size_t digits = negative ? 1 : 0;
  if (cleaned.size() > digits + 1 && cleaned[digits] == '0') {
    const char letter = cleaned[digits + 1];
    const int prefix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefix != 0 && (base == prefix || base == 0)) {
      cleaned.erase(digits, 2);
      base = prefix;
    }
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || cleaned.size() == digits || cleaned[digits] == '-')
    return std::nullopt;
  int64_t value = 0;
  const char* const end = cleaned.data() + cleaned.size();
  const auto result = std::from_chars(cleaned.data(), end, value, base);
  if (result.ptr != end) return std::nullopt;
  if (result.ec == std::errc()) return Value::Int(value);
  return base == 10 ? std::optional(Value::Integer(cleaned)) : std::nullopt;
}

Value TruncatedFloat(double value) {
  return Value::Integer(fmt::format("{:.0f}", std::trunc(value)));
}

}  // namespace lockstep::jinja
