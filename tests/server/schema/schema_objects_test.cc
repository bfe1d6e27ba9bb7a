#include <gtest/gtest.h>

#include "tests/support/schema_cases.h"

namespace lockstep {
namespace {

const SchemaCase kCases[] = {
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
    {R"j({"required":["a"],"unevaluatedProperties":{"type":"boolean"}})j",
     {R"j({"a":true})j", R"j({"a":true,"b":false})j"},
     {R"j({"a":1})j", "{}"}},
    {R"j({"properties":{"b":{"const":2}},"unevaluatedProperties":false,
         "dependentRequired":{"a":["b"]}})j",
     {"{}", R"j({"b":2})j"},
     {R"j({"b":2,"a":1})j", R"j({"a":1})j"}},
    {R"j({"unevaluatedProperties":false,"additionalProperties":{"const":1}})j",
     {R"j({"a":1})j"},
     {R"j({"a":2})j"}},
};

// What is joined keeps what each says of members that it does not list.
const SchemaCase kJoined[] = {
    {R"j({"allOf":[{"type":"object","properties":{"a":{"const":1}}},
                   {"properties":{"b":{"const":2}}}],"unevaluatedProperties":false})j",
     {"{}", R"j({"a":1,"b":2})j"},
     {R"j({"c":1})j"}},
    {R"j({"$ref":"#/$defs/a","properties":{"b":{"const":2}},"unevaluatedProperties":false,
         "$defs":{"a":{"type":"object","properties":{"a":{"const":1}}}}})j",
     {R"j({"a":1,"b":2})j"},
     {R"j({"c":1})j"}},
    {R"j({"allOf":[{"type":"object","properties":{"a":{"const":1}},"unevaluatedProperties":false},
                   {"required":["a"]}]})j",
     {R"j({"a":1})j"},
     {"{}", R"j({"a":1,"b":1})j"}},
    {R"j({"properties":{"b":{"const":2}},"additionalProperties":false,
         "dependentRequired":{"a":["b"]}})j",
     {"{}", R"j({"b":2})j"},
     {R"j({"a":1,"b":2})j"}},
};

TEST(SchemaObjectsTest, JoinedSchemasKeepTheirMembers) { CheckSchemas(kJoined); }

TEST(SchemaObjectsTest, MembersAreThoseOfTheSchema) { CheckSchemas(kCases); }

}  // namespace
}  // namespace lockstep
