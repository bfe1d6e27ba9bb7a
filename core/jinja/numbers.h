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
// reads base 10 only.
std::optional<double> ParseFloat(std::string_view text);
std::optional<Value> ParseInt(std::string_view text, int base);
// int(value): without what stands behind the point. REQUIRES: std::isfinite(value).
Value TruncatedFloat(double value);

}  // namespace lockstep::jinja
