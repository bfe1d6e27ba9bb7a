#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/schema_cases.h"

namespace lockstep {
namespace {

const SchemaCase kCases[] = {
    {R"j({"enum":["a",1,null,{"b":[1]},"é\n"]})j",
     {"\"a\"", "1", "null", "{\"b\":[1]}", "\"é\\n\""},
     {"\"b\"", "2", "\"a"}},
    {R"j({"type":"string","enum":["a",1]})j", {"\"a\""}, {"1"}},
    {R"j({"const":"x"})j", {"\"x\""}, {"\"y\""}},
    {R"j({"const":18446744073709551617})j",
     {"18446744073709551617"},
     {"18446744073709551616", "1.8446744073709552e+19"}},
    {R"j({"type":"integer","enum":[-99999999999999999999,99999999999999999999,1],"minimum":2})j",
     {"99999999999999999999"},
     {"-99999999999999999999", "1"}},
    {R"j({"type":"string","enum":["a",18446744073709551617]})j",
     {"\"a\""},
     {"18446744073709551617"}},
    {R"j({"enum":[1,2],"const":2})j", {"2"}, {"1"}},
    {R"j({"enum":["a","abc",5],"minLength":2,"minimum":6})j", {"\"abc\""}, {"\"a\"", "5"}},
};

TEST(SchemaValuesTest, ListedValuesAreWhatTheOthersAllow) { CheckSchemas(kCases); }

TEST(SchemaValuesTest, ManyFit) {
  std::string values;
  for (int i = 0; i < 8193; ++i) values += fmt::format("{}\"v{}\"", i == 0 ? "" : ",", i);
  const auto large = CompileJsonSchema(
      ParseStrictObject(fmt::format(R"j({{"enum":[{}]}})j", values)).value(), "s");
  ASSERT_TRUE(large) << large.error().message;
  EXPECT_TRUE(Matches(**large, "\"v0\""));
  EXPECT_TRUE(Matches(**large, "\"v8192\""));
  EXPECT_FALSE(Matches(**large, "\"v8193\""));
}

}  // namespace
}  // namespace lockstep
