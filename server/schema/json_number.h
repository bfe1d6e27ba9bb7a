// Bounds of numbers as grammar: GBNF for the decimal numbers between two. Stateless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

// No number that is written has more digits in front of its point: a double holds these exactly.
inline constexpr size_t kIntegerDigits = 15;
inline constexpr int64_t kLargestInteger = 999'999'999'999'999;

// A bound in decimal: "12.5" is {false, "12", "5", ...}.
struct DecimalBound {
  bool negative = false;
  std::string integer;   // no zeros in front, but for "0" itself
  std::string fraction;  // no zeros at the end
  bool exclusive = false;
};
// Nothing if the number has more than kIntegerDigits digits, or as many behind the point.
std::optional<DecimalBound> ToDecimal(double value, bool exclusive);

// The integers from low to high. REQUIRES: -kLargestInteger <= low <= high <= kLargestInteger.
std::string IntegerRange(int64_t low, int64_t high);

// Numbers without an exponent; an empty bound is none. Nothing if there is no such number.
std::optional<std::string> DecimalRange(const std::optional<DecimalBound>& low,
                                        const std::optional<DecimalBound>& high);

}  // namespace lockstep
