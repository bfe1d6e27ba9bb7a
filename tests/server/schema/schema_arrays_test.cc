#include <gtest/gtest.h>

#include "tests/support/schema_cases.h"

namespace lockstep {
namespace {

const SchemaCase kCases[] = {
    {R"j({"type":"array"})j", {"[]", "[1]", "[ 1, \"a\" ]"}, {"[1,]", "[,1]", "[1 1]"}},
    {R"j({"items":{"type":"integer"},"minItems":2,"maxItems":3})j",
     {"[1,2]", "[1, 2, 3]"},
     {"[]", "[1]", "[1,2,3,4]", "[\"a\",1]"}},
    {R"j({"items":{"type":"integer"},"maxItems":0})j", {"[]"}, {"[1]"}},
    {R"j({"items":{"const":1},"minItems":1,"maxItems":1})j", {"[1]"}, {"[]", "[1,1]"}},
    {R"j({"prefixItems":[{"const":1},{"const":2}]})j", {"[1,2]"}, {"[]", "[1]", "[1,2,3]"}},
    {R"j({"items":[{"const":1},{"const":2}],"maxItems":1})j", {"[1]"}, {"[]", "[1,2]"}},
    {R"j({"prefixItems":[{"const":1},{"$ref":"#"}]})j", {"[]", "[1]", "[1,[1]]"}, {"[1,1]"}},
    {R"j({"prefixItems":[{"const":1},{"const":2}],"minItems":1})j",
     {"[1]", "[1,2]"},
     {"[]", "[2]", "[1,2,3]", "[1,]"}},
    {R"j({"prefixItems":[{"const":1},{"const":2}],"items":{"const":3},"minItems":3,"maxItems":4})j",
     {"[1,2,3]", "[1,2,3,3]"},
     {"[1,2]", "[1,2,3,3,3]", "[1,3,3]"}},
    {R"j({"items":[{"const":1}],"additionalItems":{"const":2}})j",
     {"[1]", "[1,2,2]"},
     {"[]", "[2]"}},
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
    {R"j({"items":{"enum":[1,2]},"contains":{"const":1},"minContains":0})j",
     {"[]", "[2]"},
     {"[3]"}},
};

TEST(SchemaArraysTest, ItemsAreThoseOfTheSchema) { CheckSchemas(kCases); }

}  // namespace
}  // namespace lockstep
