#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/schema_cases.h"

namespace lockstep {
namespace {

const SchemaCase kCases[] = {
    // Told apart as they are.
    {R"j({"oneOf":[{"type":"integer"},{"type":"null"},{"type":"string"}]})j",
     {"1", "null", "\"a\""},
     {"1.5", "true"}},
    {R"j({"oneOf":[{"const":1,"title":"one"},{"const":2}]})j", {"1", "2"}, {"3"}},
    {R"j({"oneOf":[{"type":"object","properties":{"a":{"const":1}},"required":["a"]},
                   {"type":"object","properties":{"b":{"const":2}},"required":["b"]}]})j",
     {R"j({"a":1})j", R"j({"b":2})j"},
     {R"j({"a":1,"b":2})j", "{}"}},
    {R"j({"oneOf":[{"type":"integer","maximum":3},{"type":"number","minimum":5}]})j",
     {"3", "5", "5.5"},
     {"4", "3.5"}},
    {R"j({"oneOf":[{"type":"string","pattern":"^a"},{"type":"string","pattern":"^b"}]})j",
     {"\"a1\"", "\"b\""},
     {"\"c\""}},
    {R"j({"oneOf":[{"type":"array","items":{"type":"null"},"maxItems":1},
                   {"type":"array","items":{"type":"null"},"minItems":2}]})j",
     {"[]", "[null]", "[null,null]"},
     {"[1]"}},
    {R"j({"oneOf":[{"$ref":"#/$defs/leaf"},{"$ref":"#/$defs/node"}],
         "$defs":{"leaf":{"type":"object","properties":{"kind":{"const":"leaf"}},
                          "required":["kind"]},
                  "node":{"type":"object","properties":{"kind":{"const":"node"},
                          "child":{"oneOf":[{"$ref":"#/$defs/leaf"},{"$ref":"#/$defs/node"}]}},
                          "required":["kind","child"]}}})j",
     {R"j({"kind":"leaf"})j", R"j({"kind":"node","child":{"kind":"leaf"}})j"},
     {R"j({"kind":"node"})j", R"j({"kind":"leaf","child":{"kind":"leaf"}})j"}},
    // A member that need not be there tells them apart where it is.
    {R"j({"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"null"}}},
                   {"type":"object","properties":{"kind":{"const":"b"},"x":{"type":"null"}}}]})j",
     {R"j({"kind":"a"})j", R"j({"kind":"b","x":null})j"},
     {"{}", R"j({"x":null})j"}},
    // By negation.
    {R"j({"oneOf":[{"type":"string","maxLength":5},{"type":"string","minLength":3}]})j",
     {"\"ab\"", "\"abcdef\"", "\"\""},
     {"\"abc\"", "\"abcde\""}},
    {R"j({"oneOf":[{"enum":["a","b"]},{"enum":["b","c"]}]})j", {"\"a\"", "\"c\""}, {"\"b\""}},
    {R"j({"oneOf":[{"type":"number","minimum":0},{"type":"number","maximum":10}]})j",
     {"-1", "10.5", "11"},
     {"0", "5", "10"}},
    {R"j({"type":"object","properties":{"a":{"const":1},"b":{"const":2}},
         "oneOf":[{"required":["a"]},{"required":["b"]}]})j",
     {R"j({"a":1})j", R"j({"b":2})j"},
     {"{}", R"j({"a":1,"b":2})j"}},
    {R"j({"oneOf":[{"type":["string","null"]},{"type":["null","boolean"]}]})j",
     {"\"a\"", "true"},
     {"null"}},
    {R"j({"oneOf":[{"type":"string","maxLength":5},{"type":"string","minLength":3,"maxLength":8}]})j",
     {"\"ab\"", "\"abcdef\"", "\"\""},
     {"\"abc\"", "\"abcde\"", "\"abcdefghi\""}},
    // What stands beside oneOf, or in allOf of a schema, lists members too.
    {R"j({"type":"object","properties":{"k":{"enum":["x","y"]},"b":{"enum":[1,2]}},
         "oneOf":[{"properties":{"k":{"enum":["x"]}},"required":["k"]},
                  {"properties":{"b":{"enum":[1]}},"required":["b"]}]})j",
     {R"j({"k":"x"})j", R"j({"k":"x","b":2})j", R"j({"b":1})j", R"j({"k":"y","b":1})j"},
     {"{}", R"j({"k":"x","b":1})j", R"j({"k":"y","b":2})j"}},
    {R"j({"oneOf":[{"type":"object","properties":{"a":{"const":1}},"required":["a"],
                    "allOf":[{"properties":{"b":{"enum":[1,2]}}}]},
                   {"type":"object","properties":{"b":{"const":1}},"required":["b"]}]})j",
     {R"j({"a":1})j", R"j({"a":1,"b":2})j", R"j({"b":1})j"},
     {R"j({"a":1,"b":1})j"}},
    {R"j({"type":["object","string"],
         "oneOf":[{"properties":{"a":{"const":1}}},{"type":"string"}]})j",
     {"{}", R"j({"a":1})j"},
     {"\"a\""}},
    // The negation of one of many lists what another left out.
    {R"j({"oneOf":[{"type":"object","properties":{"a":{"const":"p"}},"required":["a"]},
                   {"type":"object","properties":{"b":{"const":"x"}},"required":["b"]},
                   {"type":"object","properties":{"a":{"const":"p"},"b":{"enum":["x","y"]}},
                    "required":["a"]}]})j",
     {R"j({"b":"x"})j", R"j({"a":"p","b":1})j"},
     {R"j({"a":"p","b":"x"})j", R"j({"a":"p","b":"y"})j", R"j({"a":"p"})j"}},
    // Numbers have exponents.
    {R"j({"oneOf":[{"type":"number"},{"type":"number","minimum":1e20}]})j",
     {"1", "-1.5", "999999999999999"},
     {"1e21", "100000000000000000000", "7.5e61"}},
    // What is empty is apart from all.
    {R"j({"const":1,"oneOf":[{"type":"string"},{"type":"integer","maximum":9}]})j", {"1"}, {"2"}},
    // Of names.
    {R"j({"propertyNames":{"oneOf":[{"maxLength":2},{"minLength":2}]}})j",
     {R"j({"a":1})j", R"j({"abc":1})j"},
     {R"j({"ab":1})j"}},
};

TEST(SchemaOneOfTest, AValueIsOfExactlyOneSchema) { CheckSchemas(kCases); }

TEST(SchemaOneOfTest, WhatCannotBeToldApartIsRefusedOrNamed) {
  const Json schema = ParseStrictObject(
                          R"j({"properties":{"n":{"oneOf":[{"type":"integer","multipleOf":3},
                                                           {"type":"integer","multipleOf":5}]}}})j")
                          .value();
  // Integers that have more digits than others are written with.
  EXPECT_FALSE(CompileJsonSchema(
      ParseStrictObject(R"j({"oneOf":[{"type":"integer","minimum":100000000000000000000},
                                      {"type":"integer","minimum":0}]})j")
          .value(),
      "s"));
  const auto refused = CompileJsonSchema(schema, "s");
  ASSERT_FALSE(refused);
  EXPECT_THAT(
      refused.error().message,
      testing::StartsWith("s/properties/n/oneOf: the schemas 0 and 1 cannot be told apart"));
  std::vector<std::string> dropped;
  const auto grammar = CompileJsonSchema(schema, "s", {.strict = false}, &dropped);
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_THAT(dropped, testing::ElementsAre("s/properties/n: oneOf"));
  EXPECT_TRUE(Matches(**grammar, R"j({"n":9})j"));
  EXPECT_FALSE(Matches(**grammar, R"j({"n":7})j"));
}

// Looking at a thousand schemas in pairs is no work to speak of.
TEST(SchemaOneOfTest, ManyConstantsAreRead) {
  std::string parts;
  for (int i = 0; i < 5000; ++i) {
    parts += (i == 0 ? "" : ",") + std::string("{\"const\":") + std::to_string(i) + "}";
  }
  WorkMeter meter;
  const auto grammar = CompileJsonSchema(ParseStrictObject("{\"oneOf\":[" + parts + "]}").value(),
                                         "s", {true, &meter});
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_TRUE(Matches(**grammar, "4999"));
  EXPECT_LT(meter.used(), uint64_t{1} << 24);
}

}  // namespace
}  // namespace lockstep
