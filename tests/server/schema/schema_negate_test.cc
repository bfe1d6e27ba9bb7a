#include <gtest/gtest.h>

#include "server/schema/schema_merge.h"

namespace lockstep {
namespace {

Json Read(std::string_view text) { return ParseStrictObject(text).value(); }

TEST(SchemaNegateTest, FollowsDeMorgan) {
  EXPECT_EQ(NegateSchema(Read(R"j({"title":"t"})j")).value(), Json(false));
  EXPECT_EQ(NegateSchema(Read(R"j({"not":{"minItems":1}})j")).value(), Read(R"j({"minItems":1})j"));
  EXPECT_EQ(NegateSchema(Read(R"j({"const":1})j")).value(), Read(R"j({"not":{"enum":[1]}})j"));
  EXPECT_EQ(NegateSchema(Read(R"j({"minimum":1,"required":["a"]})j")).value(),
            Read(R"j({"anyOf":[{"type":"number","exclusiveMaximum":1},
                               {"type":"object","properties":{"a":false}}]})j"));
  EXPECT_FALSE(NegateSchema(Read(R"j({"items":{}})j")));
  EXPECT_FALSE(NegateSchema(Read(R"j({"type":"integer"})j")));
}

TEST(SchemaNegateTest, BoundsAreBrokenByTheirOpposites) {
  for (const auto& [schema, negated] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"j({"minLength":3})j", R"j({"type":"string","maxLength":2})j"},
           {R"j({"maxLength":3})j", R"j({"type":"string","minLength":4})j"},
           {R"j({"minItems":1})j", R"j({"type":"array","maxItems":0})j"},
           {R"j({"maxItems":0})j", R"j({"type":"array","minItems":1})j"},
           {R"j({"minProperties":2})j", R"j({"type":"object","maxProperties":1})j"},
           {R"j({"maxProperties":2})j", R"j({"type":"object","minProperties":3})j"},
           {R"j({"minimum":0.5})j", R"j({"type":"number","exclusiveMaximum":0.5})j"},
           {R"j({"exclusiveMaximum":-1})j", R"j({"type":"number","minimum":-1})j"}}) {
    EXPECT_EQ(NegateSchema(Read(schema)).value(), Read(negated)) << schema;
  }
  EXPECT_EQ(NegateSchema(Read(R"j({"minLength":0})j")).value(), Json(false));
  EXPECT_FALSE(NegateSchema(Read(R"j({"maxItems":-1})j")));
  EXPECT_FALSE(NegateSchema(Read(R"j({"maxItems":1e30})j")));
  EXPECT_FALSE(NegateSchema(Read(R"j({"uniqueItems":true})j")));
}

TEST(SchemaNegateTest, ConditionsBecomeChoices) {
  EXPECT_EQ(
      WithoutConditions(Read(R"j({"type":"object","dependentRequired":{"a":["b"]}})j")).value(),
      Read(R"j({"type":"object","allOf":[{"anyOf":[{"properties":{"a":false}},
                     {"allOf":[{"required":["a"]},{"required":["b"]}]}]}]})j"));
  const auto choice =
      WithoutConditions(Read(R"j({"if":{"const":1},"then":{"minimum":0}})j")).value();
  EXPECT_EQ(choice["allOf"][0]["anyOf"].size(), 2u);
  EXPECT_FALSE(choice.contains("if"));
  EXPECT_EQ(WithoutConditions(Read(R"j({"dependentRequired":1})j")).error().param,
            "dependentRequired");
}

}  // namespace
}  // namespace lockstep
