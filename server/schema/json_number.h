// What JSON schemas say of numbers (bounds, multipleOf) as the language of the numbers' texts.
// Arithmetic is on decimal digits, so that nothing is rounded. Stateless.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "server/schema/language.h"

namespace lockstep {

// Numbers have at most so many digits in front of their point: a double holds these exactly. Where
// a bound or a step has more, integers have as many, up to kMaxIntegerDigits, the most that a
// request is read with.
inline constexpr size_t kIntegerDigits = 15;
inline constexpr size_t kMaxIntegerDigits = 64;

// "-12.5" is {true, "12", "5"}.
struct Decimal {
  bool negative = false;
  std::string integer;   // no zeros in front, but for "0" itself
  std::string fraction;  // no zeros at the end

  bool IsZero() const { return integer == "0" && fraction.empty(); }
  bool IsInteger() const { return fraction.empty(); }
};
// REQUIRES: the text of a JSON number that a double holds.
Decimal ParseDecimal(std::string_view text);
// The one text that NumberLanguage has for it without zeros that say nothing.
std::string PlainText(const Decimal& number);
// Below zero, zero or above, as a is less than b, equal, or greater.
int Compare(const Decimal& a, const Decimal& b);

// An exclusive bound is not itself in the range, as with exclusiveMinimum.
struct NumberBound {
  Decimal value;
  bool exclusive = false;
};
struct NumberRange {
  std::optional<NumberBound> low, high;
  std::optional<Decimal> multiple_of;  // above zero
  bool integer = false;                // no fractions
};

// Whether the range has the number, however long. Errors are kInvalidArgument and say what is not
// supported.
[[nodiscard]] Result<bool> IsInRange(const Decimal& number, const NumberRange& range);

// The texts of the range's numbers, without exponents; empty if there are none. Errors are
// kInvalidArgument and say what is not supported, or they are the meter's.
[[nodiscard]] Result<Language> NumberLanguage(const NumberRange& range, WorkMeter* meter = nullptr);

}  // namespace lockstep
