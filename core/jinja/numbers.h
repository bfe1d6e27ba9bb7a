// Numbers as Python reads and writes them. Stateless.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/jinja/value.h"

namespace lockstep::jinja {

// repr(value): the shortest digits that read back as the same number.
std::string FloatRepr(double value);
// float(text) and int(text, base); nothing where Python raises ValueError. Beyond 64 bits ParseInt
// reads base 10 only. What no double can hold ("1e999") is nothing too, where Python has inf or 0.
std::optional<double> ParseFloat(std::string_view text);
// Base 0 takes the base from the prefix, and a prefix may stand before digits of its base:
// int("0x1f", 16) is 31.
std::optional<Value> ParseInt(std::string_view text, int base);
// int(value): without what stands behind the point. REQUIRES: std::isfinite(value).
Value TruncatedFloat(double value);

}  // namespace lockstep::jinja
