#include "server/schema/schema_dialects.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/schema_cases.h"

namespace lockstep {
namespace {

std::string Read(const std::string& schema) {
  return Dump(InOneDialect(ParseStrictObject(schema).value()));
}

TEST(SchemaDialectsTest, NamesBecomePointers) {
  EXPECT_EQ(Read(R"j({"properties":{"r":{"$id":"T0","items":{"$ref":"T0"}}}})j"),
            R"j({"properties":{"r":{"$id":"T0","items":{"$ref":"#/properties/r"}}}})j");
  EXPECT_EQ(Read(R"j({"$defs":{"a/b%~":{"$anchor":"x"}},"$ref":"#x"})j"),
            R"j({"$defs":{"a/b%~":{"$anchor":"x"}},"$ref":"#/$defs/a~1b%25~0"})j");
  EXPECT_EQ(Read(R"j({"$id":"https://h/s","allOf":[{"$id":"https://h/n"},{"$ref":"n"}]})j"),
            R"j({"$id":"https://h/s","allOf":[{"$id":"https://h/n"},{"$ref":"#/allOf/0"}]})j");
  EXPECT_EQ(Read(R"j({"$id":"https://h/s","$ref":"https://h/s#/$defs/n"})j"),
            R"j({"$id":"https://h/s","$ref":"#/$defs/n"})j");
  EXPECT_EQ(Read(R"j({"id":"#old","items":{"$ref":"#old"}})j"),
            R"j({"id":"#old","items":{"$ref":"#"}})j");
  EXPECT_EQ(Read(R"j({"$dynamicAnchor":"n","items":{"$dynamicRef":"#n"}})j"),
            R"j({"$dynamicAnchor":"n","items":{"$ref":"#"}})j");
  EXPECT_EQ(Read(R"j({"items":{"$recursiveRef":"#"}})j"), R"j({"items":{"$ref":"#"}})j");
}

TEST(SchemaDialectsTest, WhatNamesNothingOrTwoStays) {
  for (const std::string schema :
       {R"j({"$ref":"#/$defs/x"})j", R"j({"$ref":"T0"})j", R"j({"$ref":"http://x/y"})j",
        R"j({"items":{"$dynamicRef":"#n"}})j",
        R"j({"prefixItems":[{"$id":"a/T"},{"$id":"b/T"},{"$ref":"T"}]})j",
        // names and values, not schemas
        R"j({"enum":[{"$id":"T"}],"items":{"$ref":"T"}})j",
        R"j({"properties":{"enum":{"type":"string"},"$id":{"type":"string"}}})j"}) {
    EXPECT_EQ(Read(schema), schema);
  }
}

TEST(SchemaDialectsTest, PropertiesOfAnyNameAreSchemas) {
  EXPECT_EQ(Read(R"j({"properties":{"enum":{"$id":"T"},"default":{"$ref":"T"}}})j"),
            R"j({"properties":{"enum":{"$id":"T"},"default":{"$ref":"#/properties/enum"}}})j");
}

TEST(SchemaDialectsTest, BooleanBoundsBecomeTodays) {
  EXPECT_EQ(Read(R"j({"exclusiveMinimum":true,"minimum":0,"exclusiveMaximum":false,"maximum":4})j"),
            R"j({"maximum":4,"exclusiveMinimum":0})j");
  EXPECT_EQ(Read(R"j({"exclusiveMinimum":1})j"), R"j({"exclusiveMinimum":1})j");
  EXPECT_EQ(Read(R"j({"exclusiveMinimum":true})j"), R"j({"exclusiveMinimum":true})j");
}

const SchemaCase kCases[] = {
    {R"j({"type":"integer","exclusiveMinimum":true,"minimum":0,"exclusiveMaximum":true,"maximum":4})j",
     {"1", "3"},
     {"0", "4"}},
    {R"j({"properties":{"r":{"$id":"T0","properties":{"v":{"type":"integer"},"k":{"type":"array",
        "maxItems":1,"items":{"$ref":"T0"}}},"required":["v"]}},"required":["r"]})j",
     {R"({"r":{"v":1,"k":[{"v":2,"k":[]}]}})"},
     {R"({"r":{"v":1,"k":[2]}})", R"({"r":{"k":[]}})"}},
};

TEST(SchemaDialectsTest, TheyBind) { CheckSchemas(kCases); }

TEST(SchemaDialectsTest, AKeywordThatIsNullIsLeftOut) {
  EXPECT_EQ(InOneDialect(ParseStrictObject(R"j({"type":"object","required":null,"enum":null,
                "properties":{"a":{"const":null,"minLength":null,"enum":[null]},"b":null},
                "anyOf":[{"default":null,"items":null}]})j")
                             .value()),
            ParseStrictObject(R"j({"type":"object",
                "properties":{"a":{"const":null,"enum":[null]},"b":null},
                "anyOf":[{"default":null}]})j")
                .value());
}

}  // namespace
}  // namespace lockstep
