// Filters of numbers, and how text is read as a number.
#include <charconv>
#include <cmath>

#include "core/jinja/builtins/builtins.h"
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

std::optional<int64_t> Truncated(double value) {
  if (!(std::abs(value) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(value);
}

Value IntFilter(BuiltinCall& call) {
  std::optional<int64_t> value;
  if (call.self.IsInteger()) return Value::Int(call.self.Integer());
  if (call.self.IsNumber()) {
    value = Truncated(call.self.Number());
  } else if (const Text* text = call.self.AsText()) {
    value = ParseInt(text->bytes(), static_cast<int>(call.Int(1, 10)));
    if (const std::optional<double> real = ParseFloat(text->bytes()); !value && real) {
      value = Truncated(*real);
    }
  }
  return value ? Value::Int(*value) : call.At(0, Value::Int(0));
}

Value FloatFilter(BuiltinCall& call) {
  if (call.self.IsNumber()) return Value::Float(call.self.Number());
  const Text* text = call.self.AsText();
  const std::optional<double> value = text == nullptr ? std::nullopt : ParseFloat(text->bytes());
  return value ? Value::Float(*value) : call.At(0, Value::Float(0));
}

Value Abs(BuiltinCall& call) {
  const bool negative = call.self.IsNumber() && call.self.Number() < 0;
  if (negative || !call.self.IsNumber()) {
    const Value negated = call.run.Negative(call.self);  // throws where it is no number
    return negated;
  }
  if (call.self.IsInteger()) return Value::Int(call.self.Integer());
  return Value::Float(std::abs(call.self.Number()));
}

Value Round(BuiltinCall& call) {
  if (!call.self.IsNumber()) Throw("round needs a number, not a {}", call.self.TypeName());
  const double value = call.self.Number();
  const int64_t precision = call.Int(0, 0);
  const std::string method = call.Str(1, "common").bytes();
  if (method != "common" && method != "ceil" && method != "floor") {
    Throw("round's method is common, ceil or floor");
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method != "common") {
    const double scaled = value * scale;
    if (!std::isfinite(scaled)) Throw("round cannot round {}", FloatRepr(scaled));
    return Value::Float((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
  }
  if (call.self.IsInteger() && precision >= 0) return Value::Int(call.self.Integer());
  if (precision >= 0) {  // beyond 17 digits nothing changes
    if (precision > 400 || !std::isfinite(value)) return Value::Float(value);
    return Value::Float(*ParseFloat(fmt::format("{:.{}f}", value, static_cast<int>(precision))));
  }
  const double rounded = std::nearbyint(value * scale) / scale;
  if (precision < -20) return call.self.IsInteger() ? Value::Int(0) : Value::Float(0);
  if (!call.self.IsInteger()) return Value::Float(rounded);
  return Value::Int(Truncated(rounded).value_or(call.self.Integer()));
}

constexpr Builtin kFilters[] = {
    {"abs", "", Abs},
    {"float", "default?", FloatFilter},
    {"int", "default? base?", IntFilter},
    {"round", "precision? method?", Round},
};

}  // namespace

std::span<const Builtin> NumberFilters() { return kFilters; }

std::optional<double> ParseFloat(std::string_view text) {
  const std::string cleaned = Lower(Cleaned(text));
  double value = 0;
  const char* const end = cleaned.data() + cleaned.size();
  const auto result = std::from_chars(cleaned.data(), end, value);
  if (cleaned.empty() || result.ptr != end || cleaned.find('(') != cleaned.npos)
    return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) return std::nullopt;
  return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<int64_t> ParseInt(std::string_view text, int base) {
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
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

}  // namespace lockstep::jinja
