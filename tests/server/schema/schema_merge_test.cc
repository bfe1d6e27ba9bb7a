#include "server/schema/schema_merge.h"

#include <gtest/gtest.h>

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

TEST(SchemaMergeTest, ReferencesArePointers) {
  const Json root = Read(R"j({"a":[{"x/y":1},{"~":2}]})j");
  EXPECT_EQ(*FindReference(root, "#/a/0/x~1y"), 1);
  EXPECT_EQ(*FindReference(root, "#/a/1/~0"), 2);
  EXPECT_EQ(FindReference(root, "#"), &root);
  EXPECT_EQ(FindReference(root, "#/a/2"), nullptr);
  EXPECT_EQ(FindReference(root, "a"), nullptr);
}

}  // namespace
}  // namespace lockstep
