// Filters of numbers. int and float never fail: what cannot be read is the default, 0.
#include <cmath>

#include "core/jinja/builtins/builtins.h"
#include "core/jinja/numbers.h"

namespace lockstep::jinja {
namespace {

// int(value) of an integer: that of True is 1.
Value IntegerOf(const Value& value) { return value.IsInt64() ? Value::Int(value.Int64()) : value; }

// jinja2 tries int(text, base), then int(float(text)), and then returns the default: "12.7" is 12,
// and "twelve" is 0.
Value IntFilter(BuiltinCall& call) {
  if (call.self.IsInteger()) return IntegerOf(call.self);
  std::optional<double> real;
  if (const Text* text = call.self.AsText()) {
    if (auto value = ParseInt(text->bytes(), static_cast<int>(call.Int(1, 10)))) return *value;
    real = ParseFloat(text->bytes());
  } else if (call.self.IsNumber()) {
    real = call.self.Number();
  }
  return real && std::isfinite(*real) ? TruncatedFloat(*real) : call.At(0, Value::Int(0));
}

Value FloatFilter(BuiltinCall& call) {
  if (call.self.IsNumber()) return Value::Float(call.self.Number());
  const Text* text = call.self.AsText();
  const std::optional<double> value = text == nullptr ? std::nullopt : ParseFloat(text->bytes());
  return value ? Value::Float(*value) : call.At(0, Value::Float(0));
}

// The smallest 64-bit integer becomes a big one by Negative, rather than overflowing.
Value Abs(BuiltinCall& call) {
  const bool negative = call.self.IsNumber() && call.self.Number() < 0;
  if (negative || !call.self.IsNumber()) {
    return call.run.Negative(call.self);  // throws where it is no number
  }
  if (call.self.IsInteger()) return IntegerOf(call.self);
  return Value::Float(std::abs(call.self.Number()));
}

// Python rounds half to even, and by the decimal value: 2.675 to two digits is 2.67, as the double
// is a little less than it looks. fmt does that for digits behind the point; ceil and floor are
// jinja2's own, which scale and so do not.
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
  if (call.self.IsInteger() && precision >= 0) return IntegerOf(call.self);
  if (precision >= 0) {  // beyond 17 digits nothing changes
    if (precision > 400 || !std::isfinite(value)) return Value::Float(value);
    return Value::Float(*ParseFloat(fmt::format("{:.{}f}", value, static_cast<int>(precision))));
  }
  // Below 0 the precision counts tens, hundreds and so on: 1250 to -2 digits is 1200, half to even.
  // A 64-bit integer has 19 digits, so nothing is left of it at -20.
  if (call.self.IsInteger()) RequireInt64("round to tens", call.self);
  const double rounded = precision < -20 ? 0 : std::nearbyint(value * scale) / scale;
  return call.self.IsInteger() ? TruncatedFloat(rounded) : Value::Float(rounded);
}

constexpr Builtin kFilters[] = {
    {"abs", "", Abs},
    {"float", "default?", FloatFilter},
    {"int", "default? base?", IntFilter},
    {"round", "precision? method?", Round},
};

}  // namespace

std::span<const Builtin> NumberFilters() { return kFilters; }

}  // namespace lockstep::jinja
