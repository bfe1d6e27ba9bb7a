#include "core/jinja/numbers.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/template_cases.h"

namespace lockstep::jinja {
namespace {

TEST(Numbers, AreWrittenAsPythonWritesThem) {
  const std::pair<double, const char*> cases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {0.1, "0.1"},
      {-2.5, "-2.5"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {123456789.125, "123456789.125"},
      {std::numeric_limits<double>::infinity(), "inf"},
      {-std::numeric_limits<double>::infinity(), "-inf"},
      {std::numeric_limits<double>::quiet_NaN(), "nan"},
  };
  for (const auto& [value, want] : cases) EXPECT_EQ(FloatRepr(value), want);
}

TEST(Numbers, AreReadAsPythonReadsThem) {
  EXPECT_EQ(ParseFloat(" 1_0.5 "), 10.5);
  EXPECT_EQ(ParseFloat("+.5e1"), 5.0);
  EXPECT_EQ(ParseFloat("-Infinity"), -std::numeric_limits<double>::infinity());
  for (const char* text : {"", "1__0", "_1", "1 2", "0x10", "+-1", "nan(1)"}) {
    EXPECT_EQ(ParseFloat(text), std::nullopt) << text;
  }
  const std::tuple<const char*, int, const char*> integers[] = {
      {" -1_0 ", 10, "-10"},
      {"0x1F", 16, "31"},
      {"0b101", 0, "5"},
      {"zz", 36, "1295"},
      {"-9223372036854775808", 10, "-9223372036854775808"},
      {"0018446744073709551616", 10, "18446744073709551616"},
      {"-99999999999999999999", 10, "-99999999999999999999"},
  };
  for (const auto& [text, base, want] : integers) {
    const auto value = ParseInt(text, base);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(value->Digits(), want);
  }
  for (const char* text : {"", "-", "--1", "1.0", "1__0", "0x1F", "99999999999999999999x"}) {
    EXPECT_FALSE(ParseInt(text, 10)) << text;
  }
}

TEST(Numbers, FloatsAreTruncatedToIntegersOfAnySize) {
  EXPECT_EQ(TruncatedFloat(-2.9).Digits(), "-2");
  EXPECT_EQ(TruncatedFloat(-0.5).Digits(), "0");
  EXPECT_EQ(TruncatedFloat(1e20).Digits(), "100000000000000000000");
}

// A client's ids are often larger than 64 bits. The wanted texts are jinja2's, save the errors.
TEST(Numbers, IntegersBeyond64BitsKeepTheirDigits) {
  const TemplateCase cases[] = {
      {"{{ id }} {{ [id] }} {{ id | tojson }} {{ id | string | length }}",
       "12345678901234567890 [12345678901234567890] 12345678901234567890 20"},
      {"{{ 99999999999999999999 }} {{ -99999999999999999999 }} {{ 1_0 }}",
       "99999999999999999999 -99999999999999999999 10"},
      {"{{ -9223372036854775808 }} {{ -(-9223372036854775808) }} {{ +id }}",
       "-9223372036854775808 9223372036854775808 12345678901234567890"},
      {"{{ id == 12345678901234567890 }} {{ id == 12345678901234567891 }} {{ id != 1 }}",
       "True False True"},
      {"{{ id > 1 }} {{ id < -id }} {{ id < 2e19 }} {{ id > 1e19 }} {{ 1 < id }} {{ id >= id }}",
       "True False True True True True"},
      {"{{ 10000000000000000000 == 1e19 }} {{ id == 1.5 }} {{ -id < -1.5 }} {{ id < 1e300 }}",
       "True False True True"},
      {"{{ [id, 3, -id, 1e19] | sort }}",
       "[-12345678901234567890, 3, 1e+19, 12345678901234567890]"},
      {"{{ id is integer }} {{ id is number }} {{ id is float }} {{ id is string }}",
       "True True False False"},
      {"{{ 'y' if id else 'n' }} {{ id is sameas id }} {{ {id: 2}[id] }} {{ {1e19: 2}[10**0 * 1] "
       "}}",
       "y True 2 "},
      {"{{ {1e19: 2}[10000000000000000000] }} {{ [id, id] | unique | list }}",
       "2 [12345678901234567890]"},
      {"{{ '%d' % id }} {{ '%24d|' % -id }} {{ '{:,}'.format(id) }} {{ '%s' % id }}",
       "12345678901234567890    -12345678901234567890| 12,345,678,901,234,567,890 "
       "12345678901234567890"},
      {"{{ id | int }} {{ '-12345678901234567890' | int }} {{ 1e20 | int }} {{ -id | abs }}",
       "12345678901234567890 -12345678901234567890 100000000000000000000 12345678901234567890"},
      {"{{ id | float }} {{ id / 2.0 }} {{ id | round }}",
       "1.2345678901234567e+19 6.172839450617284e+18 12345678901234567890"},
      {"{{ [1][id] is defined }} {{ id == '12345678901234567890' }}", "False False"},
  };
  ExpectRendered(cases);
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const TemplateCase refused[] = {
      {"{{ id + 1 }}", where + "'+' leaves the range of integers"},
      {"{{ id is odd }}", where + "'%' leaves the range of integers"},
      {"{{ 'ab' * id }}", where + "'*' needs an integer of at most 64 bits"},
      {"{{ 'ab'[id:] }}", where + "a slice needs an integer of at most 64 bits"},
      {"{{ 'ab' | center(id) }}", where + "center needs an integer of at most 64 bits"},
      {"{{ '%x' % id }}", where + "a format other than 'd' needs an integer of at most 64 bits"},
  };
  ExpectRendered(refused);
}

}  // namespace
}  // namespace lockstep::jinja
