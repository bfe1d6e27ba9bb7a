#include "server/schema/json_number.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

namespace lockstep {
namespace {

TEST(JsonNumberTest, DecimalsAreExact) {
  const Decimal small = ParseDecimal("-12.50e-1"), large = ParseDecimal("1e20");
  EXPECT_TRUE(small.negative);
  EXPECT_EQ(small.integer + "." + small.fraction, "1.25");
  EXPECT_EQ(large.integer, "1" + std::string(20, '0'));
  EXPECT_FALSE(ParseDecimal("-0.0").negative);
  EXPECT_LT(Compare(small, ParseDecimal("-1.2")), 0);
  EXPECT_GT(Compare(ParseDecimal("10"), ParseDecimal("9.99")), 0);
  EXPECT_EQ(Compare(ParseDecimal("1.0"), ParseDecimal("1")), 0);
}

// All bounds and steps of a grid against arithmetic.
TEST(JsonNumberTest, RangesAreWhatArithmeticSays) {
  for (int low = -25; low <= 25; low += 5) {
    for (int high = low; high <= 30; high += 7) {
      for (const int step : {0, 1, 3, 10, 12}) {
        NumberRange range;
        range.integer = true;
        range.low = NumberBound{ParseDecimal(std::to_string(low)), low % 2 != 0};
        range.high = NumberBound{ParseDecimal(std::to_string(high)), high % 2 != 0};
        if (step > 0) range.multiple_of = ParseDecimal(std::to_string(step));
        const Language numbers = NumberLanguage(range).value();
        for (int n = -130; n <= 130; ++n) {
          const bool fits = (low % 2 != 0 ? n > low : n >= low) &&
                            (high % 2 != 0 ? n < high : n <= high) && (step == 0 || n % step == 0);
          EXPECT_EQ(numbers.Contains(std::to_string(n)), fits) << low << " " << high << " " << n;
          EXPECT_EQ(IsInRange(ParseDecimal(std::to_string(n)), range).value(), fits) << n;
        }
      }
    }
  }
}

TEST(JsonNumberTest, NumbersAreMultiplesHoweverLong) {
  const auto is_multiple = [](const char* number, const char* step) {
    NumberRange range;
    range.multiple_of = ParseDecimal(step);
    return IsInRange(ParseDecimal(number), range);
  };
  for (const auto& [number, step, is] : {std::tuple("0", "7", true),
                                         {"1.5", "0.25", true},
                                         {"1.6", "0.25", false},
                                         {"-0.3", "0.1", true},
                                         {"0.05", "0.1", false},
                                         {"100000000000000000000000000003", "3", false},
                                         {"100000000000000000000000000002", "3", true},
                                         {"3e40", "1e40", true},
                                         {"35e39", "1e40", false},
                                         {"12345678901234567890", "12345678901234567", false},
                                         {"98765431209876536", "12345678901234567", true}}) {
    EXPECT_EQ(is_multiple(number, step).value(), is) << number << " " << step;
  }
  EXPECT_FALSE(is_multiple("99999999999999999999", "123456789012345678"));
}

TEST(JsonNumberTest, FractionsAreWhatArithmeticSays) {
  for (int low = -150; low <= 150; low += 37) {
    for (int high = low; high <= 200; high += 41) {
      NumberRange range;
      range.low = NumberBound{ParseDecimal(fmt::format("{}e-2", low)), low % 2 != 0};
      range.high = NumberBound{ParseDecimal(fmt::format("{}e-2", high)), high % 2 != 0};
      const Language numbers = NumberLanguage(range).value();
      for (int n = -300; n <= 300; ++n) {
        if (n == 0) continue;  // has a sign or not
        const std::string text =
            fmt::format("{}{}.{:02}", n < 0 ? "-" : "", std::abs(n) / 100, std::abs(n) % 100);
        const bool fits =
            (low % 2 != 0 ? n > low : n >= low) && (high % 2 != 0 ? n < high : n <= high);
        EXPECT_EQ(numbers.Contains(text), fits) << low << " " << high << " " << text;
        EXPECT_EQ(IsInRange(ParseDecimal(text), range).value(), fits) << text;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
