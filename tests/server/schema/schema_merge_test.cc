#include "server/schema/schema_merge.h"

#include <gtest/gtest.h>

#include <utility>

namespace lockstep {
namespace {

Json Read(std::string_view text) { return ParseStrictObject(text).value(); }

TEST(SchemaMergeTest, KeywordsOfBothHold) {
  const auto merged = MergeSchemas(
      Read(R"j({"type":["integer","null"],"minimum":1,"required":["a"],"pattern":"x","title":"t",
               "anyOf":[{"minItems":1}]})j"),
      Read(R"j({"type":"number","minimum":3,"required":["b","a"],"pattern":"y",
               "anyOf":[{"maxItems":2}]})j"));
  ASSERT_TRUE(merged) << merged.error().message;
  EXPECT_EQ(*merged, Read(R"j({"type":["integer"],"minimum":3,"required":["a","b"],
                              "pattern":["x","y"],"anyOf":[{"minItems":1}],
                              "allOf":[{"anyOf":[{"maxItems":2}]}]})j"));
}

TEST(SchemaMergeTest, WhatCannotBeJoinedIsNamed) {
  const auto merged = MergeSchemas(Read(R"j({"multipleOf":2})j"), Read(R"j({"multipleOf":3})j"));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().param, "multipleOf");
  EXPECT_EQ(MergeSchemas(Read(R"j({"const":2})j"), Read(R"j({"const":3})j")).value(), Json(false));
}

void ExpectNamed(const char* a, const char* b, const char* keyword) {
  for (const auto& [one, other] : {std::pair(a, b), std::pair(b, a)}) {
    const auto merged = MergeSchemas(Read(one), Read(other));
    ASSERT_FALSE(merged) << one << " " << other;
    EXPECT_EQ(merged.error().param, keyword) << one << " " << other;
  }
}

TEST(SchemaMergeTest, MembersThatOneOfTheSchemasForbidsAreNamed) {
  constexpr char kClosed[] = R"j({"properties":{"a":{}},"additionalProperties":false})j";
  ExpectNamed(kClosed, R"j({"properties":{"b":{}}})j", "additionalProperties");
  ExpectNamed(kClosed, R"j({"patternProperties":{"^b$":{}}})j", "additionalProperties");
  // These it forbids as well.
  EXPECT_EQ(MergeSchemas(Read(kClosed), Read(R"j({"properties":{"b":false}})j")).value(),
            Read(R"j({"properties":{"a":{},"b":false},"additionalProperties":false})j"));
}

TEST(SchemaMergeTest, WhatContainsIsCountedWithIt) {
  EXPECT_EQ(MergeSchemas(Read(R"j({"contains":{"const":1}})j"),
                         Read(R"j({"minContains":0,"then":{},"minItems":1})j"))
                .value(),
            Read(R"j({"contains":{"const":1},"minItems":1})j"));
  ExpectNamed(R"j({"contains":{}})j", R"j({"contains":{},"minContains":0})j", "contains");
}

TEST(SchemaMergeTest, ItemsAreJoinedPlaceByPlace) {
  const Json items = Read(R"j({"items":{"type":"integer"}})j");
  const Json joined = Read(R"j({"prefixItems":[{"allOf":[{"const":1},{"type":"integer"}]}],
                               "items":{"type":"integer"}})j");
  EXPECT_EQ(MergeSchemas(Read(R"j({"prefixItems":[{"const":1}]})j"), items).value(), joined);
  EXPECT_EQ(MergeSchemas(Read(R"j({"items":[{"const":1}]})j"), items).value(), joined);
  EXPECT_EQ(MergeSchemas(Read(R"j({"prefixItems":[true]})j"),
                         Read(R"j({"prefixItems":[{"const":1},{"const":2}]})j"))
                .value(),
            Read(R"j({"prefixItems":[{"const":1},{"const":2}]})j"));
  ExpectNamed(R"j({"prefixItems":{"a":1}})j", R"j({"items":{}})j", "prefixItems");
}

TEST(SchemaMergeTest, UnevaluatedIsAdditionalBesideOthers) {
  const Json lists = Read(R"j({"properties":{"b":{}},"prefixItems":[true]})j"), bare = Read("{}");
  const Json both = Read(R"j({"unevaluatedProperties":{"const":1},"unevaluatedItems":false})j");
  EXPECT_EQ(WithOwnUnevaluated(both, {&bare}).value(), both);
  const Json named = Read(R"j({"properties":{"b":{}},"unevaluatedProperties":{"const":1},
                              "items":{},"unevaluatedItems":false})j");
  EXPECT_EQ(WithOwnUnevaluated(named, {&bare, &lists}).value(),
            Read(R"j({"properties":{"b":{}},"items":{},"additionalProperties":{"const":1}})j"));
  for (const char* refused : {R"j({"anyOf":[{}],"unevaluatedProperties":false})j",
                              R"j({"unevaluatedProperties":false})j"}) {
    const auto own = WithOwnUnevaluated(Read(refused), {&lists});
    ASSERT_FALSE(own) << refused;
    EXPECT_EQ(own.error().param, "unevaluatedProperties");
  }
}

}  // namespace
}  // namespace lockstep
