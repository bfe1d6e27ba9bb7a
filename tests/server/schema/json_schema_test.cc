#include "server/schema/json_schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/schema_cases.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

const SchemaCase kCases[] = {
    {"{}",
     {"1", "\"a\"", "null", "[1, {\"a\":[]}]", "{\n  \"a\": true\n}"},
     {"", "nul", "{\"a\"}"}},
    {R"j({"type":"null"})j", {"null"}, {"0"}},
    {R"j({"type":"boolean"})j", {"true", "false"}, {"1", "True"}},
    {R"j({"type":"integer"})j", {"0", "-7", "123456789012345"}, {"01", "-0", "1.0", "1e3", "-"}},
    {R"j({"type":"number"})j", {"0", "-0.5", "1e9", "12.50E-7", "-0"}, {"01", "1.", ".5", "1e999"}},
    {R"j({"type":["string","null"]})j", {"\"\"", "null"}, {"1"}},
    {R"j({"type":["integer","number"]})j", {"1", "1.5"}, {"\"1\""}},
    {R"j({"anyOf":[{"type":"integer"},{"type":"null"}],"title":"t","default":null})j",
     {"1", "null"},
     {"\"\""}},
    {R"j({"oneOf":[{"const":"a"},{"const":"b"}]})j", {"\"a\"", "\"b\""}, {"\"c\""}},
    {R"j({"type":"object","properties":{"k":{"type":"string"}},"required":["k"],
         "anyOf":[{"properties":{"a":{"const":1}},"required":["a"]},
                  {"properties":{"b":{"const":2}},"required":["b"]}]})j",
     {R"j({"k":"","a":1})j", R"j({"k":"","b":2})j"},
     {R"j({"k":""})j", R"j({"a":1})j"}},
    {R"j({"type":"integer","nullable":true,"minimum":1,"maximum":2})j", {"1", "null"}, {"3"}},
    {R"j({"allOf":[{"type":"integer","minimum":2},{"minimum":1,"maximum":5},{"maximum":4}]})j",
     {"2", "4"},
     {"1", "5"}},
    {R"j({"allOf":[{"$ref":"#/$defs/a"},{"properties":{"b":{"const":2}},"required":["b"]}],
         "$defs":{"a":{"type":"object","properties":{"a":{"const":1}},"required":["a"]}}})j",
     {R"j({"a":1,"b":2})j"},
     {R"j({"a":1})j", R"j({"b":2})j"}},
    {R"j({"$ref":"#/$defs/x~1y","$defs":{"x/y":{"$ref":"#/$defs/z"},"z":{"const":1}}})j",
     {"1"},
     {"2"}},
    {R"j({"properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]},"v":{"const":1}},
         "required":["v"]})j",
     {R"j({"v":1})j", R"j({"next":{"next":null,"v":1},"v":1})j"},
     {R"j({"next":null})j", R"j({"next":{},"v":1})j"}},
    {R"j({"$ref":"#/definitions/tree","definitions":{"tree":{"type":"array",
         "items":{"$ref":"#/definitions/tree"}}}})j",
     {"[]", "[[],[[[]]]]"},
     {"[1]", "[[]"}},
    {R"j({"enum":["a","b",1],"not":{"const":"a"}})j", {"\"b\"", "1"}, {"\"a\""}},
    {R"j({"not":{"type":"string"}})j", {"1", "null", "{}", "[]"}, {"\"a\""}},
    {R"j({"type":["string","integer"],"not":{"pattern":"b"}})j", {"\"a\""}, {"\"ab\"", "1"}},
    {R"j({"enum":["ab","a",1],"not":{"pattern":"b"}})j", {"\"a\""}, {"\"ab\"", "1"}},
    {R"j({"not":{"format":"date"}})j", {"\"a\""}, {"\"2024-01-01\"", "1", "null"}},
    {R"j({"type":["integer","boolean"],"not":{"enum":[0,true]}})j", {"1", "false"}, {"0", "true"}},
    {R"j({"properties":{"k":{"enum":["a","b"]},"x":{"type":"integer"}},"required":["k"],
         "if":{"properties":{"k":{"const":"a"}},"required":["k"]},"then":{"required":["x"]},
         "else":{"properties":{"x":false}}})j",
     {R"j({"k":"a","x":1})j", R"j({"k":"b"})j"},
     {R"j({"k":"a"})j", R"j({"k":"b","x":1})j"}},
    {R"j({"properties":{"a":{"const":1},"b":{"const":2}},"dependentRequired":{"a":["b"]}})j",
     {"{}", R"j({"b":2})j", R"j({"a":1,"b":2})j"},
     {R"j({"a":1})j"}},
    {R"j({"anyOf":[{"minimum":1},{"maximum":-1}],"oneOf":[{"type":"integer"}],
         "allOf":[{"anyOf":[{"maximum":5},{"minimum":9}]}]})j",
     {"1", "5", "9", "-3"},
     {"0", "6", "1.5"}},
    {R"j({"$ref":"#/$defs/a","nullable":true,"$defs":{"a":{"type":"integer"}}})j",
     {"1", "null"},
     {"\"\""}},
    {R"j({"$ref":"#/$defs/a","allOf":[{"minimum":3}],"$defs":{"a":{"type":"integer"}}})j",
     {"3"},
     {"2"}},
    {R"j({"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/a","minProperties":1}}}}})j",
     {"{}"},
     {R"j({"b":{}})j", R"j({"b":1})j"}},
};

TEST(JsonSchemaTest, AcceptsWhatTheSchemaSays) { CheckSchemas(kCases); }

std::string Ring(size_t length) {
  std::string definitions;
  for (size_t i = 0; i < length; ++i) {
    definitions += fmt::format(R"j({}"d{}":{{"properties":{{"n":{{"$ref":"#/$defs/d{}"}}}}}})j",
                               i == 0 ? "" : ",", i, (i + 1) % length);
  }
  return R"j({"$ref":"#/$defs/d0","$defs":{)j" + definitions + "}}";
}

TEST(JsonSchemaTest, ReferencesAreNoDepth) {
  const auto grammar = CompileJsonSchema(ParseStrictObject(Ring(600)).value(), "s");
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_TRUE(Matches(**grammar, R"j({"n":{"n":{}}})j"));
  EXPECT_FALSE(Matches(**grammar, R"j({"n":1})j"));
}

TEST(JsonSchemaTest, RefusalsNameTheKeywordAndThePlace) {
  const struct {
    const char* schema;
    const char* message;
  } kRefusals[] = {
      {R"j({"properties":{"a":{"$dynamicRef":"#x"}}})j",
       "f.schema/properties/a: keyword \"$dynamicRef\" is not supported"},
      {R"j({"properties":{"a/b":{"if":{"items":{}},"then":{}}}})j",
       "f.schema/properties/a~1b/if: what"},
      {R"j({"not":{}})j", "f.schema/not: leaves no value"},
      {R"j({"not":{"items":{}}})j", "f.schema/not: what is not allowed by \"items\""},
      {R"j({"patternProperties":{"(a)\\1":{}}})j", "f.schema/patternProperties: the pattern"},
      {R"j({"items":{"type":"integer","multipleOf":2001}})j", "f.schema/items/multipleOf: is"},
      {R"j({"type":"number","multipleOf":-0.5})j", "multipleOf: must be a number above 0"},
      {R"j({"type":"array","uniqueItems":true})j", "f.schema/uniqueItems: is supported only"},
      {R"j({"type":"text"})j", "f.schema/type: \"text\" is no type"},
      {R"j({"type":[]})j", "no type is left"},
      {R"j({"minLength":3,"maxLength":2})j", "f.schema/maxLength: is below minLength"},
      {R"j({"properties":{"a":{"enum":[]}},"required":["a"]})j",
       "f.schema/properties/a/enum: none of the listed values"},
      {R"j({"properties":{"a":false},"required":["a"]})j",
       "f.schema/required: asks for \"a\", which is forbidden"},
      {R"j({"allOf":[{"const":1},{"const":2}]})j", "f.schema/allOf: its schemas exclude"},
      {R"j({"minLength":-1})j", "f.schema/minLength: must be a whole number"},
      {R"j({"minItems":1.5})j", "f.schema/minItems: must be a whole number"},
      {R"j({"type":"integer","minimum":5,"maximum":4})j", "no integer is between"},
      {R"j({"type":"number","exclusiveMinimum":1,"maximum":1})j", "no number is between"},
      {R"j({"minimum":"a"})j", "f.schema/minimum: must be a number"},
      {R"j({"exclusiveMinimum":true})j", "f.schema/exclusiveMinimum: must be a number"},
      {R"j({"minimum":1e300})j", "f.schema/minimum: no number of at most 64 digits"},
      {R"j({"pattern":"a(?=b)"})j",
       "f.schema/pattern: the pattern \"a(?=b)\" is not acceptable: look-"},
      {R"j({"pattern":"(?<=a)b"})j", "look-behind nowhere"},
      {R"j({"pattern":"(a)\\1"})j", "a back reference"},
      {R"j({"pattern":"\\bx"})j", "a word boundary"},
      {R"j({"pattern":"\\p{Klingon}"})j", "\\p{Klingon} is not supported"},
      {R"j({"pattern":"a(^b)"})j", "^ is supported only at an end"},
      {R"j({"pattern":"(a"})j", "\"(\" has no \")\""},
      {R"j({"pattern":"a)"})j", "\")\" has no \"(\""},
      {R"j({"pattern":"[z-a]"})j", "no valid ends"},
      {R"j({"pattern":"a**"})j", "repeated without a group"},
      {R"j({"pattern":"^a+(b|c)$","minLength":9999})j",
       "f.schema/minLength: what it says needs more"},
      {R"j({"format":"regex"})j", "f.schema/format: \"regex\" is not supported; there are date,"},
      {R"j({"enum":[]})j", "none of the listed values"},
      {R"j({"enum":["a"],"type":"integer"})j", "none of the listed values"},
      {R"j({"enum":["a"],"minLength":2})j", "none of the listed values"},
      {R"j({"enum":[["a"]],"minItems":2})j", "\"minItems\" beside enum"},
      {R"j({"anyOf":[]})j", "f.schema/anyOf: must be a list"},
      {R"j({"anyOf":[{"type":"null"},{"contains":{},"maxContains":1}]})j",
       "f.schema/anyOf/1/maxContains: is"},
      {R"j({"contains":{"const":1},"minContains":0,"maxContains":1})j", "f.schema/maxContains: is"},
      {R"j({"type":"array","items":{"const":1},"not":{"enum":[[]]}})j",
       "f.schema/not: one array alone"},
      {R"j({"type":"object","not":{"const":{}}})j", "f.schema/not: one object alone"},
      {R"j({"type":"integer","not":{"pattern":"a"}})j", "f.schema/not: forbids all that is no"},
      {R"j({"type":"object","properties":{"a":{}},"unevaluatedProperties":false,
           "not":{"properties":{"b":{"const":1}},"required":["b"]}})j",
       "f.schema/not: what is not allowed by members beside unevaluatedProperties"},
      {R"j({"allOf":[{"type":"object","properties":{"a":{}},"unevaluatedProperties":false},
                     {"properties":{"b":{}}}]})j",
       "f.schema/allOf/0/unevaluatedProperties: unevaluatedProperties of one schema"},
      {R"j({"properties":{"a":{}},"allOf":[{"anyOf":[{}],"unevaluatedProperties":false}]})j",
       "f.schema/allOf/0/unevaluatedProperties: keyword"},
      {R"j({"allOf":[{"multipleOf":2},{"multipleOf":3}]})j",
       "f.schema/allOf/1: keyword \"multipleOf\" stands"},
      {R"j({"$ref":"#/$defs/x"})j", "f.schema/$ref: \"#/$defs/x\" leads nowhere"},
      {R"j({"$ref":"http://x/y"})j", "leads nowhere"},
      {R"j({"$ref":"#"})j", "matches no text"},
      {R"j({"properties":{"a":{"$ref":"#"}},"required":["a"]})j", "matches no text"},
      {R"j({"properties":{"a":{}},"required":["b"],"additionalProperties":false})j",
       "\"b\" is not among the properties"},
      {R"j({"properties":{"a":{}},"required":["b"],"unevaluatedProperties":false})j",
       "and unevaluatedProperties is false"},
      {R"j({"properties":{"a":1}})j", "f.schema/properties/a: a schema must be"},
      {R"j({"required":"a"})j", "f.schema/required: must be a list of at most 1024"},
  };
  for (const auto& test : kRefusals) {
    const auto schema = ParseStrictObject(test.schema);
    ASSERT_TRUE(schema) << test.schema;
    const auto grammar = CompileJsonSchema(*schema, "f.schema");
    EXPECT_FALSE(grammar) << test.schema;
    if (grammar) continue;
    EXPECT_THAT(grammar.error().message, HasSubstr(test.message)) << test.schema;
    EXPECT_EQ(grammar.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_EQ(grammar.error().param, "f.schema");
  }
}

TEST(JsonSchemaTest, WhatIsNotStrictIsDroppedByNameAndTheRestBinds) {
  const auto schema =
      ParseStrictObject(R"j({"properties":{"a":{"type":"null","$dynamicRef":"#b"}}})j");
  std::vector<std::string> dropped;
  const auto grammar = CompileJsonSchema(*schema, "s", {.strict = false}, &dropped);
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_THAT(dropped, testing::ElementsAre("s/properties/a: $dynamicRef"));
  EXPECT_TRUE(Matches(**grammar, R"j({"a":null})j"));
  EXPECT_FALSE(Matches(**grammar, R"j({"a":1})j"));
}

TEST(JsonSchemaTest, EachKindOfKeywordMayBeDropped) {
  const struct {
    const char* schema;
    std::vector<std::string> dropped;
    const char *accepted, *refused;
  } kDrops[] = {
      {R"j({"properties":{"x":{"type":"array","items":{"type":"null"},"uniqueItems":true}}})j",
       {"s/properties/x: uniqueItems"},
       R"j({"x":[null]})j",
       R"j({"x":[1]})j"},
      {R"j({"type":"any","minLength":1})j", {"s: type"}, "\"a\"", "\"\""},
      {R"j({"allOf":[{"properties":{"a":{"const":1}},"required":["a"],"additionalProperties":false},
           {"properties":{"b":{"const":2}},"required":["b"],"additionalProperties":false}]})j",
       {"s/allOf/1: additionalProperties", "s: additionalProperties"},
       "{\"a\":1,\"b\":2}",
       "{\"a\":1}"},
      {R"j({"type":"string","format":"color","minLength":1})j", {"s: format"}, "\"a\"", "\"\""},
      {R"j({"type":"string","pattern":"(a)\\1"})j", {"s: pattern"}, "\"x\"", "1"},
      {R"j({"items":{"type":"integer","not":{"items":{}}},"minItems":-1})j",
       {"s: minItems", "s/items: not"},
       "[1]",
       "[1.5]"},
      {R"j({"allOf":[{"type":"integer","multipleOf":2},{"multipleOf":3,"maximum":9}]})j",
       {"s/allOf/1: multipleOf"},
       "8",
       "10"},
      {R"j({"$ref":"http://x/y","type":"integer"})j", {"s: $ref"}, "1", "\"\""},
      // What no value can be.
      {R"j({"properties":{"a":{"type":"string","enum":[1,2]},"b":{"type":"null"}},"required":["a"]})j",
       {"s/properties/a: enum"},
       R"j({"a":"x","b":null})j",
       R"j({"a":1})j"},
      {R"j({"type":"integer","minimum":5,"maximum":3})j", {"s: maximum"}, "5", "4"},
      {R"j({"type":"string","minLength":3,"maxLength":2})j", {"s: maxLength"}, "\"abc\"", "\"ab\""},
      {R"j({"type":"array","items":{"enum":[]},"minItems":1})j", {"s/items: enum"}, "[1]", "[]"},
      {R"j({"allOf":[{"const":1},{"const":2}],"type":"integer"})j", {"s: allOf"}, "3", "\"\""},
      {R"j({"anyOf":[{"enum":[]},false],"type":"integer"})j", {"s: anyOf"}, "3", "\"\""},
      {R"j({"if":{"items":{}},"then":{"minItems":1},"type":"array"})j", {"s: if"}, "[]", "1"},
  };
  for (const auto& test : kDrops) {
    std::vector<std::string> dropped;
    const auto grammar =
        CompileJsonSchema(ParseStrictObject(test.schema).value(), "s", {.strict = false}, &dropped);
    ASSERT_TRUE(grammar) << test.schema << grammar.error().message;
    EXPECT_THAT(dropped, testing::UnorderedElementsAreArray(test.dropped)) << test.schema;
    EXPECT_TRUE(Matches(**grammar, test.accepted)) << test.schema;
    EXPECT_FALSE(Matches(**grammar, test.refused)) << test.schema;
  }
}

// It can only be left out, which is what the schema says, so that nothing is lost.
TEST(JsonSchemaTest, WhatNoValueCanBeIsLeftOutWhereItMay) {
  for (const char* none :
       {"false", R"j({"enum":[]})j", R"j({"type":"integer","minimum":5,"maximum":3})j",
        R"j({"type":"string","enum":[1,2]})j", R"j({"minLength":3,"maxLength":2})j",
        R"j({"allOf":[{"const":1},{"const":2}]})j", R"j({"not":{}})j", R"j({"type":[]})j",
        R"j({"properties":{"c":{"enum":[]}},"required":["c"]})j", R"j({"$ref":"#/$defs/n"})j",
        R"j({"items":false,"minItems":1})j", R"j({"anyOf":[false,{"const":1,"type":"null"}]})j"}) {
    for (const bool strict : {true, false}) {
      const auto compiled = [&](const char* form) {
        std::vector<std::string> dropped;
        auto grammar =
            CompileJsonSchema(ParseStrictObject(fmt::format(fmt::runtime(form), none)).value(), "s",
                              {.strict = strict}, &dropped);
        EXPECT_TRUE(grammar) << none << grammar.error().message;
        EXPECT_THAT(dropped, testing::IsEmpty()) << none;
        return grammar ? *grammar : nullptr;
      };
      const auto object = compiled(
          R"j({{"$defs":{{"n":false}},"properties":{{"a":{},"b":{{"const":1}}}},"required":["b"]}})j");
      const auto array = compiled(R"j({{"$defs":{{"n":false}},"type":"array","items":{}}})j");
      const auto tuple = compiled(
          R"j({{"$defs":{{"n":false}},"prefixItems":[{{"const":1}},{}],"minItems":1,"items":false}})j");
      if (object == nullptr || array == nullptr || tuple == nullptr) continue;
      EXPECT_TRUE(Matches(*object, R"j({"b":1})j")) << none;
      EXPECT_FALSE(Matches(*object, R"j({"a":1,"b":1})j")) << none;
      EXPECT_TRUE(Matches(*array, "[]")) << none;
      EXPECT_FALSE(Matches(*array, "[1]")) << none;
      EXPECT_TRUE(Matches(*tuple, "[1]")) << none;
      EXPECT_FALSE(Matches(*tuple, "[1,1]")) << none;
    }
  }
}

// However it is spent, by values, by automata or by rules, and whatever a keyword's fault is.
TEST(JsonSchemaTest, ReadingEndsWhenTheMeterSaysSo) {
  std::string values, properties;
  for (int i = 0; i < 15'000; ++i) values += fmt::format("{}\"value {}\"", i == 0 ? "" : ",", i);
  for (int i = 0; i < 1000; ++i) {
    properties += fmt::format(R"j({}"p{}":{{"type":"array"}})j", i == 0 ? "" : ",", i);
  }
  const std::string kSchemas[] = {
      fmt::format(R"j({{"enum":[{}]}})j", values),
      fmt::format(R"j({{"properties":{{{}}}}})j", properties),
      R"j({"propertyNames":{"pattern":"^(a|b)*a(a|b){10}$"}})j",
      R"j({"type":"integer","multipleOf":1999})j",
  };
  for (const std::string& text : kSchemas) {
    const Json schema = ParseStrictObject(text).value();
    for (const bool strict : {true, false}) {
      size_t asked = 0;
      WorkMeter meter([&asked](uint64_t) {
        ++asked;
        return Fail(ErrorKind::kCancelled, "nobody waits");
      });
      const auto grammar = CompileJsonSchema(schema, "s", {strict, &meter});
      ASSERT_FALSE(grammar) << text.substr(0, 100);
      EXPECT_EQ(grammar.error().kind, ErrorKind::kCancelled) << grammar.error().message;
      EXPECT_EQ(asked, 1u);
      EXPECT_LT(meter.used(), 3 * WorkMeter::kSlice) << text.substr(0, 100);
    }
  }
}

TEST(JsonSchemaTest, AnyObjectIsAsDeepAsItLikes) {
  const auto grammar = CompileJsonObject().value();
  std::string deep = "{\"a\":";
  for (int i = 0; i < 1000; ++i) deep += "[{\"b\": ";
  deep += "null";
  for (int i = 0; i < 1000; ++i) deep += "}\n]";
  EXPECT_TRUE(Matches(*grammar, deep + "}"));
  EXPECT_FALSE(Matches(*grammar, deep));
  EXPECT_FALSE(Matches(*grammar, "[]"));
}

TEST(JsonSchemaTest, SchemasMayBePartsOfOtherGrammars) {
  JsonGrammar json;
  const auto city = json.Add(ParseStrictObject(R"j({"properties":{"city":{"type":"string"}},
                                                    "required":["city"]})j")
                                 .value(),
                             "a");
  const auto sum = json.Add(ParseStrictObject(R"j({"items":{"type":"integer"}})j").value(), "b");
  ASSERT_TRUE(city && sum);
  const auto grammar =
      ParseGbnf("root ::= \"<call>\" (" + GbnfLiteral("{\"name\": \"weather\", \"arguments\": ") +
                " " + *city + " | " + GbnfLiteral("{\"name\": \"sum\", \"arguments\": ") + " " +
                *sum + ") \"}</call>\"\n" + json.rules());
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_TRUE(
      Matches(**grammar, R"j(<call>{"name": "weather", "arguments": {"city": "Paris"}}</call>)j"));
  EXPECT_TRUE(Matches(**grammar, R"j(<call>{"name": "sum", "arguments": [1, 2]}</call>)j"));
  EXPECT_FALSE(Matches(**grammar, R"j(<call>{"name": "sum", "arguments": {"city": ""}}</call>)j"));
}

TEST(JsonSchemaTest, ObjectsKeepTheOrderOfTheirTextAndAreNotTooLarge) {
  EXPECT_EQ(Dump(ParseStrictObject(R"j({"b":1,"a":{"d":1,"c":2}})j").value()),
            R"j({"b":1,"a":{"d":1,"c":2}})j");
  std::string large = "{";
  for (int i = 0; i < 1024; ++i) large += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":0";
  EXPECT_TRUE(ParseStrictObject(large + "}"));
  const auto refused = ParseStrictObject(large + ",\"x\":0}");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("more than 1024 fields"));
}

}  // namespace
}  // namespace lockstep
