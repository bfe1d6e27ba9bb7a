#include "server/schema/json_schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

struct Case {
  const char* schema;
  std::vector<const char*> accepted, refused;
};

const Case kCases[] = {
    {"{}",
     {"1", "\"a\"", "null", "[1, {\"a\":[]}]", "{\n  \"a\": true\n}"},
     {"", "nul", "{\"a\"}"}},
    {R"j({"type":"null"})j", {"null"}, {"0"}},
    {R"j({"type":"boolean"})j", {"true", "false"}, {"1", "True"}},
    {R"j({"type":"integer"})j", {"0", "-7", "123456789012345"}, {"01", "-0", "1.0", "1e3", "-"}},
    {R"j({"type":"number"})j", {"0", "-0.5", "1e9", "12.50E-7", "-0"}, {"01", "1.", ".5", "1e999"}},
    {R"j({"type":["string","null"]})j", {"\"\"", "null"}, {"1"}},
    {R"j({"type":["integer","number"]})j", {"1", "1.5"}, {"\"1\""}},
    {R"j({"type":"string"})j",
     {R"j("aé€😀")j", R"j("\n\"\\\/\u00e9\ud83d\ude00")j"},
     {"\"\n\"", R"j("\x")j", R"j("\ud83d")j", R"j("\ude00\ud83d")j", "\"", R"j(""")j"}},
    {R"j({"type":"string","minLength":2,"maxLength":3})j",
     {"\"ab\"", "\"é😀a\"", R"j("\n\ud83d\ude00")j"},
     {"\"a\"", "\"abcd\"", R"j("\n")j"}},
    {R"j({"maxLength":0})j", {"\"\""}, {"\"a\""}},
    {R"j({"maxLength":1000000})j", {"\"a\""}, {"1"}},
    // Numbers between bounds.
    {R"j({"type":"integer","minimum":3,"maximum":127})j",
     {"3", "9", "10", "99", "100", "119", "127"},
     {"2", "0", "128", "200", "-3", "03"}},
    {R"j({"type":"integer","exclusiveMinimum":-12,"exclusiveMaximum":5})j",
     {"-11", "-1", "0", "4"},
     {"-12", "5", "-0", "-20", "10"}},
    {R"j({"type":"integer","minimum":0.5})j", {"1", "10", "999999999999999"}, {"0", "-1"}},
    {R"j({"type":"integer","maximum":-100})j", {"-100", "-999"}, {"-99", "0", "5"}},
    {R"j({"type":"number","minimum":0,"maximum":1})j",
     {"0", "0.5", "1", "1.0", "0.999"},
     {"1.01", "2", "-0.1", "-0.0", "10", "1e0"}},
    {R"j({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})j",
     {"0.1", "0.001", "0.9", "0.99"},
     {"0", "0.0", "1", "1.0"}},
    {R"j({"type":"number","minimum":-2.75,"maximum":12.5})j",
     {"-2.75", "-2.7", "-2", "-1.99", "-0.3", "0", "11.9", "12.5", "12.50", "12.499", "3"},
     {"-2.76", "-2.8", "-3", "12.51", "12.6", "13", "100"}},
    {R"j({"type":"number","minimum":0.25,"maximum":0.26})j",
     {"0.25", "0.2500", "0.255", "0.26", "0.260"},
     {"0.249", "0.2", "0.261", "0", "1", "0.3"}},
    {R"j({"exclusiveMaximum":-1.5})j",
     {"-1.51", "-2", "-1.6"},
     {"-1.5", "-1.50", "-1.4", "0", "2"}},
    {R"j({"type":"number","minimum":1e-7})j", {"0.0000001", "1", "0.5"}, {"0", "0.00000001"}},
    // Values.
    {R"j({"enum":["a",1,null,{"b":[1]},"é\n"]})j",
     {"\"a\"", "1", "null", "{\"b\":[1]}", "\"é\\n\""},
     {"\"b\"", "2", "\"a"}},
    {R"j({"type":"string","enum":["a",1]})j", {"\"a\""}, {"1"}},
    {R"j({"const":"x"})j", {"\"x\""}, {"\"y\""}},
    {R"j({"enum":[1,2],"const":2})j", {"2"}, {"1"}},
    // Objects.
    {R"j({"type":"object"})j", {"{}", "{ }", "{\"a\":1, \"b\":[]}"}, {"[]", "{\"a\":1,}", "{,}"}},
    {R"j({"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"null"}},
         "required":["b","a"],"additionalProperties":false})j",
     {R"j({"b":1,"a":null})j", "{\n  \"b\": 1,\n  \"a\": null\n}"},
     {R"j({"a":null,"b":1})j", R"j({"b":1})j", "{}", R"j({"b":1,"a":null,"c":1})j",
      R"j({"b":1,  "a":null})j", "{\"b\":1,\n\n\"a\":null}"}},
    {R"j({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3},"d":{"const":4}},
         "required":["c"]})j",
     {R"j({"c":3})j", R"j({"a":1,"c":3})j", R"j({"b":2,"c":3,"d":4})j",
      R"j({"a":1,"b":2,"c":3,"d":4})j"},
     {"{}", R"j({"a":1})j", R"j({"c":3,"b":2})j", R"j({"a":1,,"c":3})j", R"j({"a":1"c":3})j"}},
    {R"j({"properties":{"a":{"const":1},"b":{"const":2}}})j",
     {"{}", R"j({"a":1})j", R"j({"b":2})j", R"j({"a":1,"b":2})j"},
     {R"j({"b":2,"a":1})j", R"j({"a":1,})j", R"j({"c":1})j"}},
    {R"j({"properties":{"ab":{"const":1},"é\"":{"const":2}},
         "additionalProperties":{"type":"boolean"}})j",
     {"{}", R"j({"ab":1})j", R"j({"ab":1,"c":true,"a":false,"abc":true,"":true})j",
      R"j({"b":true})j", R"j({"é\"":2,"é":true})j"},
     {R"j({"ab":true})j", R"j({"c":1})j", R"j({"c":true,"ab":1})j", R"j({"\u0061b":true})j"}},
    {R"j({"additionalProperties":{"type":"integer"},"maxProperties":2,"minProperties":1})j",
     {R"j({"a":1})j", R"j({"a":1, "b":2})j"},
     {"{}", R"j({"a":1,"b":2,"c":3})j", R"j({"a":"b"})j"}},
    {R"j({"required":["x"],"additionalProperties":{"const":1}})j",
     {R"j({"x":1})j", R"j({"x":1,"y":1})j"},
     {"{}", R"j({"y":1})j", R"j({"x":1,"x":1})j"}},
    {R"j({"type":"object","additionalProperties":false})j", {"{}"}, {R"j({"a":1})j"}},
    {R"j({"properties":{"a":false,"b":true}})j", {R"j({"b":{}})j", "{}"}, {R"j({"a":1})j"}},
    // Arrays.
    {R"j({"type":"array"})j", {"[]", "[1]", "[ 1, \"a\" ]"}, {"[1,]", "[,1]", "[1 1]"}},
    {R"j({"items":{"type":"integer"},"minItems":2,"maxItems":3})j",
     {"[1,2]", "[1, 2, 3]"},
     {"[]", "[1]", "[1,2,3,4]", "[\"a\",1]"}},
    {R"j({"items":{"type":"integer"},"maxItems":0})j", {"[]"}, {"[1]"}},
    {R"j({"items":{"const":1},"minItems":1,"maxItems":1})j", {"[1]"}, {"[]", "[1,1]"}},
    {R"j({"prefixItems":[{"const":1},{"const":2}],"minItems":1})j",
     {"[1]", "[1,2]"},
     {"[]", "[2]", "[1,2,3]", "[1,]"}},
    {R"j({"prefixItems":[{"const":1},{"const":2}],"items":{"const":3},"minItems":3,"maxItems":4})j",
     {"[1,2,3]", "[1,2,3,3]"},
     {"[1,2]", "[1,2,3,3,3]", "[1,3,3]"}},
    {R"j({"items":[{"const":1}],"additionalItems":{"const":2}})j",
     {"[]", "[1]", "[1,2,2]"},
     {"[2]"}},
    // Combinations and references.
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
    // Patterns and formats.
    {R"j({"pattern":"^[A-Z]{2}-\\d+$"})j",
     {"\"AB-1\"", "\"ZZ-0099\""},
     {"\"A-1\"", "\"AB-\"", "\"xAB-1\""}},
    {R"j({"pattern":"ab?c|^x$"})j", {"\"zzacz\"", "\"abc\"", "\"x\""}, {"\"xy\"", "\"ab\""}},
    {R"j({"pattern":"^(?:a|b(?<n>c|d)){1,2}?\\.[^x\"]$"})j",
     {"\"a.a\"", "\"bcbd.\\\\\"", "\"bd.\\n\"", "\"a.é\""},
     {"\".a\"", "\"a.x\"", "\"a.\\\"\"", "\"aaa.a\""}},
    {R"j({"pattern":"^.\\s\\w\\S$"})j", {"\"- _é\"", "\"a\\tb\\\"\""}, {"\"a b \"", "\"\\n bb\""}},
    {R"j({"pattern":"^[\\u00e0-\\u{e9}\\x41\\-\\]]+$"})j", {"\"éA-]\""}, {"\"B\"", "\"\""}},
    {R"j({"pattern":""})j", {"\"\"", "\"any\""}, {"1"}},
    {R"j({"format":"date"})j",
     {"\"2024-02-29\"", "\"2023-12-31\"", "\"2000-02-29\""},
     {"\"2023-02-29\"", "\"1900-02-29\"", "\"2023-13-01\"", "\"2023-04-31\"", "\"2023-1-1\""}},
    {R"j({"format":"time"})j",
     {"\"23:59:59Z\"", "\"00:00:00.25+01:30\""},
     {"\"24:00:00Z\"", "\"1:00:00Z\""}},
    {R"j({"format":"date-time"})j", {"\"2024-02-29T10:00:00Z\""}, {"\"2024-02-29\""}},
    {R"j({"format":"duration"})j",
     {"\"P1Y2M3DT4H\"", "\"PT5S\"", "\"P3W\""},
     {"\"P\"", "\"PT\"", "\"1Y\""}},
    {R"j({"format":"email"})j", {"\"a.b+c@x-y.org\""}, {"\"a@b\"", "\"@x.org\"", "\"a..b@x.org\""}},
    {R"j({"format":"hostname"})j", {"\"a-1.example\""}, {"\"-a\"", "\"a-\"", "\"a..b\""}},
    {R"j({"format":"ipv4"})j",
     {"\"0.10.199.255\""},
     {"\"256.1.1.1\"", "\"01.1.1.1\"", "\"1.1.1\""}},
    {R"j({"format":"ipv6"})j",
     {"\"::\"", "\"::1\"", "\"1::\"", "\"2001:db8::ff:1\"", "\"1:2:3:4:5:6:7:8\""},
     {"\":\"", "\"1::2::3\"", "\"1:2:3\"", "\"12345::\""}},
    {R"j({"format":"uuid"})j", {"\"123e4567-e89b-12d3-A456-426614174000\""}, {"\"123e4567\""}},
    {R"j({"format":"uri"})j",
     {"\"https://a.example.org:80/x/y?z=1#t\""},
     {"\"a.org\"", "\"ftp://a.org\""}},
};

TEST(JsonSchemaTest, AcceptsWhatTheSchemaSays) {
  for (const Case& test : kCases) {
    const auto schema = ParseStrictObject(test.schema);
    ASSERT_TRUE(schema) << test.schema << schema.error().message;
    const auto grammar = CompileJsonSchema(*schema, "schema");
    ASSERT_TRUE(grammar) << test.schema << grammar.error().message;
    for (const char* text : test.accepted) {
      EXPECT_TRUE(Matches(**grammar, text)) << test.schema << " " << text;
    }
    for (const char* text : test.refused) {
      EXPECT_FALSE(Matches(**grammar, text)) << test.schema << " " << text;
    }
  }
}

// What clients send that asks for more than one keyword can say.
const Case kCombinations[] = {
    // Numbers of any size, exactly.
    {R"j({"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991})j",
     {"0", "-1", "9007199254740991", "-9007199254740991"},
     {"9007199254740992", "-9007199254740992", "-0", "01"}},
    {R"j({"type":"integer","maximum":9223372036854775807})j",
     {"9223372036854775807", "-5"},
     {"9223372036854775808", "10000000000000000000"}},
    {R"j({"type":"integer","minimum":0,"maximum":18446744073709551615})j",
     {"0", "18446744073709551615"},
     {"18446744073709551616", "-1"}},
    {R"j({"type":"integer","minimum":9007199254740991})j",
     {"9007199254740991", "9999999999999999"},
     {"9007199254740990", "5", "-9007199254740991"}},
    {R"j({"type":"number","maximum":1.7976931348623157e308})j", {"1", "-1.5"}, {"\"a\""}},
    {R"j({"type":"number","exclusiveMinimum":1e-300})j", {"0.1", "1"}, {"0", "0.0", "-1"}},
    {R"j({"type":"integer","multipleOf":5})j", {"0", "5", "-10", "123455"}, {"1", "12", "-7"}},
    {R"j({"type":"integer","multipleOf":12,"minimum":20,"maximum":100})j",
     {"24", "36", "96"},
     {"12", "20", "100", "108"}},
    {R"j({"type":"integer","multipleOf":1000})j", {"0", "1000", "-25000"}, {"100", "1500", "1"}},
    {R"j({"type":"number","multipleOf":0.01})j",
     {"0", "1", "1.5", "1.25", "-0.07"},
     {"1.255", "0.001"}},
    {R"j({"type":"number","multipleOf":0.25,"minimum":0,"exclusiveMaximum":2})j",
     {"0", "0.5", "0.75", "1.25", "1.50"},
     {"0.1", "2", "0.3", "1.30"}},
    // Texts.
    {R"j({"pattern":"^[a-z]+$","minLength":2,"maxLength":4})j",
     {"\"ab\"", "\"abcd\""},
     {"\"a\"", "\"abcde\"", "\"a1\""}},
    {R"j({"pattern":"^a+b?$","minLength":2,"maxLength":3})j",
     {"\"aa\"", "\"ab\"", "\"aab\""},
     {"\"a\"", "\"aaab\"", "\"b\""}},
    {R"j({"format":"uri","minLength":1,"maxLength":2083})j", {"\"https://a.org\""}, {"\"\""}},
    {R"j({"format":"ipv4","pattern":"^10\\."})j", {"\"10.0.0.1\""}, {"\"11.0.0.1\"", "\"10.x\""}},
    {R"j({"allOf":[{"pattern":"a"},{"pattern":"b"}]})j", {"\"ab\"", "\"xbya\""}, {"\"a\""}},
    {R"j({"pattern":"^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"})j",
     {"\"1.5\"", "\"-0\"", "\".5\""},
     {"\"\"", "\"-.\"", "\"a\""}},
    {R"j({"pattern":"^(?=.*[A-Z])(?=.*\\d).{4,}$"})j",
     {"\"aA1b\"", "\"1AAA\""},
     {"\"A1\"", "\"aaa1\"", "\"AAAA\""}},
    {R"j({"pattern":"^\\p{Lu}\\p{L}*$"})j", {"\"\u00c9t\u00e9\"", "\"Ab\""}, {"\"ab\"", "\"A1\""}},
    {R"j({"type":"string","format":"binary"})j", {"\"\""}, {"1"}},
    {R"j({"enum":["a","abc",5],"minLength":2,"minimum":6})j", {"\"abc\""}, {"\"a\"", "5"}},
    {R"j({"type":"string","maxLength":2147483647})j", {"\"a\""}, {"1"}},
    {R"j({"type":"string","not":{"enum":["no","none"]}})j",
     {"\"n\"", "\"\"", "\"nons\""},
     {"\"no\"", "\"none\""}},
    {R"j({"type":"string","not":{"pattern":"b"}})j", {"\"a\""}, {"\"ab\"", "\"b\""}},
    // Exclusions and conditions.
    {R"j({"enum":["a","b",1],"not":{"const":"a"}})j", {"\"b\"", "1"}, {"\"a\""}},
    {R"j({"not":{"type":"string"}})j", {"1", "null", "{}", "[]"}, {"\"a\""}},
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
    // Objects.
    {R"j({"type":"object","propertyNames":{"type":"string"},"additionalProperties":{"type":"null"}})j",
     {"{}", R"j({"a":null})j"},
     {R"j({"a":1})j"}},
    {R"j({"type":"object","propertyNames":{"pattern":"^[a-z]+$"}})j",
     {"{}", R"j({"ab":1})j"},
     {R"j({"A":1})j", R"j({"":1})j"}},
    {R"j({"propertyNames":{"enum":["x","y"]},"additionalProperties":{"const":1}})j",
     {R"j({"x":1,"y":1})j"},
     {R"j({"z":1})j"}},
    {R"j({"patternProperties":{"^n_":{"type":"integer"},"_s$":{"type":"string"}},
         "additionalProperties":false})j",
     {R"j({"n_a":1,"b_s":"x"})j", "{}"},
     {R"j({"n_a":"x"})j", R"j({"n_s":1})j", R"j({"c":1})j"}},
    {R"j({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"minProperties":2})j",
     {R"j({"a":1,"c":3})j", R"j({"a":1,"b":2,"c":3})j"},
     {"{}", R"j({"b":2})j"}},
    {R"j({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["c"],
         "maxProperties":2})j",
     {R"j({"c":3})j", R"j({"a":1,"c":3})j"},
     {R"j({"a":1,"b":2,"c":3})j", R"j({"a":1,"b":2})j"}},
    {R"j({"properties":{"a":{"const":1}},"unevaluatedProperties":false})j",
     {R"j({"a":1})j"},
     {R"j({"b":1})j"}},
    // Arrays.
    {R"j({"items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":1})j",
     {R"j(["c","a"])j", R"j(["b"])j", R"j(["a","b","c"])j"},
     {"[]", R"j(["a","a"])j"}},
    {R"j({"items":{"enum":[1,2,3,4,5,6,7,8,9]},"uniqueItems":true,"maxItems":3})j",
     {"[]", "[1,2,9]"},
     {"[1,1]", "[1,2,3,4]"}},
    {R"j({"items":{"type":"integer"},"contains":{"minimum":10}})j",
     {"[10]", "[1, 12, 3]"},
     {"[]", "[1,2]"}},
    {R"j({"items":{"type":"integer"},"contains":{"minimum":10},"maxItems":2})j",
     {"[10]", "[10,1]"},
     {"[1]", "[10,1,1]"}},
    // References.
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

std::string Ring(size_t length) {
  std::string definitions;
  for (size_t i = 0; i < length; ++i) {
    definitions += fmt::format(R"j({}"d{}":{{"properties":{{"n":{{"$ref":"#/$defs/d{}"}}}}}})j",
                               i == 0 ? "" : ",", i, (i + 1) % length);
  }
  return R"j({"$ref":"#/$defs/d0","$defs":{)j" + definitions + "}}";
}

TEST(JsonSchemaTest, CombinationsAreKept) {
  for (const Case& test : kCombinations) {
    const auto schema = ParseStrictObject(test.schema);
    ASSERT_TRUE(schema) << test.schema << schema.error().message;
    const auto grammar = CompileJsonSchema(*schema, "schema");
    EXPECT_TRUE(grammar) << test.schema << grammar.error().message;
    if (!grammar) continue;
    for (const char* text : test.accepted) {
      EXPECT_TRUE(Matches(**grammar, text)) << test.schema << " " << text;
    }
    for (const char* text : test.refused) {
      EXPECT_FALSE(Matches(**grammar, text)) << test.schema << " " << text;
    }
  }
}

TEST(JsonSchemaTest, ReferencesAreNoDepth) {
  const auto grammar = CompileJsonSchema(ParseStrictObject(Ring(600)).value(), "s");
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_TRUE(Matches(**grammar, R"j({"n":{"n":{}}})j"));
  EXPECT_FALSE(Matches(**grammar, R"j({"n":1})j"));
}

TEST(JsonSchemaTest, ManyValuesAndManyLongTextsFit) {
  std::string values, properties;
  for (int i = 0; i < 8193; ++i) values += fmt::format("{}\"v{}\"", i == 0 ? "" : ",", i);
  const auto large = CompileJsonSchema(
      ParseStrictObject(fmt::format(R"j({{"enum":[{}]}})j", values)).value(), "s");
  ASSERT_TRUE(large) << large.error().message;
  EXPECT_TRUE(Matches(**large, "\"v0\""));
  EXPECT_TRUE(Matches(**large, "\"v8192\""));
  EXPECT_FALSE(Matches(**large, "\"v8193\""));
  for (int i = 0; i < 14; ++i) {
    properties +=
        fmt::format(R"j({}"p{}":{{"type":"string","maxLength":10000}})j", i == 0 ? "" : ",", i);
  }
  const auto texts = CompileJsonSchema(
      ParseStrictObject(fmt::format(R"j({{"properties":{{{}}}}})j", properties)).value(), "s");
  ASSERT_TRUE(texts) << texts.error().message;
  EXPECT_TRUE(Matches(**texts, "{\"p13\":\"" + std::string(10000, 'a') + "\"}"));
  EXPECT_FALSE(Matches(**texts, "{\"p13\":\"" + std::string(10001, 'a') + "\"}"));
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
      {R"j({"not":{}})j", "the schema false allows no value"},
      {R"j({"not":{"items":{}}})j", "f.schema/not: what is not allowed by \"items\""},
      {R"j({"patternProperties":{"(a)\\1":{}}})j", "f.schema/patternProperties: the pattern"},
      {R"j({"items":{"type":"integer","multipleOf":2001}})j", "f.schema/items/multipleOf: is"},
      {R"j({"type":"number","multipleOf":-0.5})j", "multipleOf: must be a number above 0"},
      {R"j({"type":"array","uniqueItems":true})j", "f.schema/uniqueItems: is supported only"},
      {R"j({"type":"text"})j", "f.schema/type: \\\"text\\\" is no type"},
      {R"j({"type":[]})j", "no type is left"},
      {R"j({"minLength":3,"maxLength":2})j", "maxLength is below minLength"},
      {R"j({"minLength":-1})j", "f.schema/minLength: must be a whole number"},
      {R"j({"minItems":1.5})j", "f.schema/minItems: must be a whole number"},
      {R"j({"type":"integer","minimum":5,"maximum":4})j", "no integer is between"},
      {R"j({"type":"number","exclusiveMinimum":1,"maximum":1})j", "no number is between"},
      {R"j({"minimum":"a"})j", "f.schema/minimum: must be a number"},
      {R"j({"exclusiveMinimum":true})j", "f.schema/exclusiveMinimum: must be a number"},
      {R"j({"minimum":1e300})j", "f.schema/minimum: no number of at most 20 digits"},
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
      {R"j({"pattern":"^a+(b|c)$","maxLength":9999})j",
       "f.schema/maxLength: what it says needs more"},
      {R"j({"format":"regex"})j", "f.schema/format: \"regex\" is not supported; there are date,"},
      {R"j({"enum":[]})j", "none of the listed values"},
      {R"j({"enum":["a"],"type":"integer"})j", "none of the listed values"},
      {R"j({"enum":["a"],"minLength":2})j", "none of the listed values"},
      {R"j({"enum":[["a"]],"minItems":2})j", "\"minItems\" beside enum"},
      {R"j({"anyOf":[]})j", "f.schema/anyOf: must be a list"},
      {R"j({"anyOf":[{"type":"null"},{"contains":{},"maxContains":1}]})j",
       "f.schema/anyOf/1/maxContains: is"},
      {R"j({"allOf":[{"multipleOf":2},{"multipleOf":3}]})j",
       "f.schema/allOf/1: keyword \"multipleOf\" stands"},
      {R"j({"$ref":"#/$defs/x"})j", "f.schema/$ref: \"#/$defs/x\" leads nowhere"},
      {R"j({"$ref":"http://x/y"})j", "leads nowhere"},
      {R"j({"$ref":"#"})j", "matches no text"},
      {R"j({"properties":{"a":{"$ref":"#"}},"required":["a"]})j", "matches no text"},
      {R"j({"properties":{"a":{}},"required":["b"],"additionalProperties":false})j",
       "\"b\" is not among the properties"},
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

TEST(JsonSchemaTest, ReadingEndsWhenItIsNoLongerWanted) {
  const auto schema = ParseStrictObject(R"j({"type":"null"})j");
  const auto grammar = CompileJsonSchema(*schema, "s", {.stopped = [] { return true; }});
  ASSERT_FALSE(grammar);
  EXPECT_EQ(grammar.error().kind, ErrorKind::kCancelled);
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
