#include "core/jinja/builtins/builtins.h"

#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

TEST(Builtins, ParametersAreReadFromATablesRow) {
  constexpr jinja::Parameters kParameters = "old new count? * **";
  static_assert(kParameters.count == 3 && kParameters.required == 2);
  static_assert(kParameters.names[0] == "old" && kParameters.names[2] == "count");
  static_assert(kParameters.more && kParameters.more_named);
  constexpr jinja::Parameters kNone = "";
  static_assert(kNone.count == 0 && !kNone.more && !kNone.more_named);
}

TEST(Builtins, ArgumentsFindTheirPlaces) {
  const TemplateCase cases[] = {
      {"{{ 'aaa' | replace('a', 'b', count=1) }} {{ 'aaa' | replace(new='b', old='a') }}",
       "baa bbb"},
      {"{{ [1, 2] | batch(fill_with=0, linecount=3) | list }}", "[[1, 2, 0]]"},
  };
  ExpectRendered(cases);
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const TemplateCase refused[] = {
      {"{{ 'a' | upper(1) }}", where + "upper takes at most 0 arguments, not 1"},
      {"{{ 'a' | replace('a') }}", where + "replace needs its argument 'new'"},
      {"{{ 'a' | replace('a', 'b', old='c') }}", where + "replace is given old twice"},
      {"{{ 'a' | trim(x=1) }}", where + "trim has no parameter 'x'"},
      {"{{ 'a' | center('x') }}", where + "center needs an integer, not a str"},
      {"{{ 'a'.find(1) }}", where + "find needs a string, not a int"},
  };
  ExpectRendered(refused);
}

TEST(Builtins, MethodsBelongToAType) {
  using V = TemplateValue;
  EXPECT_NE(jinja::FindMethod(V::String("a"), "upper"), nullptr);
  EXPECT_NE(jinja::FindMethod(V::Dict({}), "items"), nullptr);
  EXPECT_NE(jinja::FindMethod(V::List({}), "index"), nullptr);
  EXPECT_EQ(jinja::FindMethod(V::List({}), "items"), nullptr);
  EXPECT_EQ(jinja::FindMethod(V::Int(1), "upper"), nullptr);
  EXPECT_EQ(jinja::FindFilter("nope"), nullptr);
  EXPECT_EQ(jinja::FindTest("nope"), nullptr);
  EXPECT_EQ(jinja::FindFunction("nope"), nullptr);
}

}  // namespace
}  // namespace lockstep
