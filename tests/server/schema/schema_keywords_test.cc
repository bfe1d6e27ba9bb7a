#include "server/schema/schema_keywords.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(SchemaKeywordsTest, AKeywordIsKnownSaysNothingOrNeither) {
  ASSERT_NE(FindSchemaKeyword("maxItems"), nullptr);
  EXPECT_EQ(FindSchemaKeyword("maxItems")->type, "array");
  EXPECT_EQ(FindSchemaKeyword("maxItems")->join, SchemaJoin::kSmaller);
  EXPECT_FALSE(IsAnnotation("maxItems"));
  for (const char* name : {"title", "$defs", "x-order", "markdownDescription"}) {
    EXPECT_TRUE(IsAnnotation(name)) << name;
    EXPECT_EQ(FindSchemaKeyword(name), nullptr) << name;
  }
  for (const char* name : {"maxitems", "", "x"}) {
    EXPECT_FALSE(IsAnnotation(name)) << name;
    EXPECT_EQ(FindSchemaKeyword(name), nullptr) << name;
  }
}

TEST(SchemaKeywordsTest, KeywordsTellWhatASchemaIsAbout) {
  EXPECT_EQ(ImpliedType({{"required", {"a"}}}), "object");
  EXPECT_EQ(ImpliedType({{"title", "t"}, {"prefixItems", Json::array()}}), "array");
  EXPECT_EQ(ImpliedType({{"pattern", "a"}, {"enum", {"a"}}}), "string");
  EXPECT_EQ(ImpliedType({{"multipleOf", 2}}), "number");
  EXPECT_EQ(ImpliedType({{"enum", {1}}}), "");
}

TEST(SchemaKeywordsTest, MembersThatAnotherDoesNotListAreMore) {
  const Json a = {{"properties", {{"a", true}, {"b", false}}}};
  const Json b = {{"properties", {{"b", true}}}, {"patternProperties", {{"^a", true}}}};
  EXPECT_TRUE(ListsMore(a, b, "properties"));
  EXPECT_TRUE(ListsMore(b, a, "patternProperties"));
  EXPECT_FALSE(ListsMore(b, a, "properties"));
  EXPECT_FALSE(ListsMore({{"properties", {{"c", false}}}}, a, "properties"));
  EXPECT_FALSE(ListsMore(Json::object(), a, "properties"));
}

TEST(SchemaKeywordsTest, SomeKeywordsApplySchemasToTheSameValue) {
  EXPECT_TRUE(AppliesInPlace({{"anyOf", Json::array({true})}}));
  EXPECT_TRUE(AppliesInPlace({{"$ref", "#"}}));
  EXPECT_FALSE(AppliesInPlace({{"not", true}, {"items", true}, {"type", "array"}}));
}

TEST(SchemaKeywordsTest, AnnotationsAssertNothing) {
  const Json schema = {{"title", "t"}, {"description", "d"}, {"type", "string"}};
  EXPECT_TRUE(Asserts(schema));
  EXPECT_FALSE(Asserts(Without(schema, "type")));
  EXPECT_EQ(Without(schema, "none"), schema);
}

}  // namespace
}  // namespace lockstep
