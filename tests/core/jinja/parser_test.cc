#include "core/jinja/parser.h"

#include <gmock/gmock.h>

#include "core/jinja/failure.h"
#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Parser, BuildsTheTreeOfEveryStatement) {
  const auto program = jinja::Parser(
                           "a{{ b }}{% for c in d %}{% endfor %}{% if e %}{% else %}{% endif %}"
                           "{% set f = 1 %}{% set g %}{% endset %}{% macro h() %}{% endmacro %}"
                           "{% call h() %}{% endcall %}{% filter upper %}{% endfilter %}"
                           "{% with i = 1 %}{% endwith %}")
                           .Run();
  using Kind = jinja::Stmt::Kind;
  const Kind want[] = {Kind::kText,     Kind::kPrint, Kind::kFor,  Kind::kIf,     Kind::kSet,
                       Kind::kSetBlock, Kind::kMacro, Kind::kCall, Kind::kFilter, Kind::kWith};
  ASSERT_EQ(program.body.size(), std::size(want));
  for (size_t i = 0; i < std::size(want); ++i) EXPECT_EQ(program.body[i]->kind, want[i]) << i;
  EXPECT_EQ(program.names.size(), 4u + 8u);  // those of the interpreter, and b to i
}

TEST(Parser, FailsAtTheLineThatIsWrong) {
  const TemplateCase cases[] = {
      {"\n{% if x %}", "2: {% if %} has no end"},
      {"\n\n{{ 1 + }}", "3: expected an expression, found }}"},
      {"{% set 1 = 2 %}", "1: expected the name of a variable, found \"1\""},
      {"{% set true = 2 %}", "1: true cannot be set"},
      {"{% macro m(a=1, b) %}{% endmacro %}", "1: the parameter \"b\" needs a default"},
      {"{% call 1 %}{% endcall %}", "1: {% call %} needs a call"},
      {"{{ f(a=1, 2) }}", "1: positional arguments must come before named ones"},
      {"{{ f(*a, *b) }}", "1: a call has '*' twice"},
      {"{{ a. }}", "1: expected the name of an attribute"},
      {"{% continue %}", "1: {% continue %} stands outside any loop"},
      {"{% for a in b %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
       "1: {% break %} stands outside any loop"},
  };
  for (const auto& [source, want] : cases) {
    try {
      jinja::Parser(source).Run();
      ADD_FAILURE() << source;
    } catch (const jinja::Failure& failure) {
      EXPECT_THAT(std::to_string(failure.line) + ": " + failure.message, StartsWith(want));
    }
  }
}

// The wanted texts are jinja2's.
TEST(Parser, BindsAsJinja2Does) {
  const TemplateCase cases[] = {
      {"{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2 * 3 ~ 4 }} {{ 4 + -1 | abs }}", "64 4 64 5"},
      {"{{ not 1 == 2 }} {{ not false and false }} {{ 1 or 2 and 0 }}", "True False 1"},
      {"{{ 1 if 0 else 2 if 0 else 3 }} {{ (1 if 1) + 1 }} {{ [1 if 0 else 2, 3] }}", "3 2 [2, 3]"},
      {"{{ 4 is divisibleby 2 and 3 is odd }} {{ 4 is divisibleby(3) }} {{ 1 is not none }}",
       "True False True"},
      {"{{ -1 | abs }} {{ (-1) | abs }} {{ 'a' 'b' | upper }} {{ 1 in [1] and true is true }}",
       "1 1 AB True"},
      {"{{ [1, 2,] }} {{ (1,) }} {{ () }} {{ 1, 2 }} {{ {'a': 1,} }}",
       "[1, 2] (1,) () (1, 2) {'a': 1}"},
      {"{{ 'abcd'[1:3] }}{{ 'abcd'[:2] }}{{ 'abcd'[::2] }}{{ [[1]].0.0 }}", "bcabac1"},
      {"{% set a, (b, c) = 1, (2, 3) %}{{ a }}{{ b }}{{ c }}", "123"},
      {"{% for a, b in {'x': 1}.items() recursive %}{{ a }}{{ b }}{% endfor %}", "x1"},
      {"{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}", "b"},
  };
  ExpectRendered(cases);
}

// jinja2 refuses an unknown filter or test when it compiles, but for those under a condition, which
// it refuses when they run; a scope within the condition is strict again.
TEST(Parser, AnUnknownFilterUnderAConditionFailsOnlyWhenItRuns) {
  const TemplateCase cases[] = {
      {"{% if false %}{{ 1 | nope }}{{ 1 is nope }}{% endif %}a", "a"},
      {"{% if true %}a{% elif 1 is nope %}{% else %}{% set x = 1 | nope %}{% endif %}", "a"},
      {"{{ 1 | nope if false else 'a' }}{{ 'b' if true else 1 is nope }}", "ab"},
      {"{% if false %}{% if true %}{% for x in y | nope %}{% endfor %}{% endif %}{% endif %}a",
       "a"},
  };
  ExpectRendered(cases);
  const std::string refused = "PARSE line 2 of the chat template: unknown filter \"nope\"";
  for (const char* source : {
           "\n{{ 1 | nope }}",
           "\n{{ 1 | nope }}{{ 2 if true else 3 | nope }}",
           "{% if false %}\n{% for x in y %}{{ x | nope }}{% endfor %}{% endif %}",
           "{% if false %}\n{% macro m(a=1 | nope) %}{% endmacro %}{% endif %}",
           "{% if false %}\n{% macro m() %}{{ 1 | nope }}{% endmacro %}{% endif %}",
           "{% if false %}\n{% filter nope %}{% endfilter %}{% endif %}",
           "{% if false %}\n{% set x %}{{ 1 | nope }}{% endset %}{% endif %}",
           "{% if false %}\n{% with %}{{ 1 | nope }}{% endwith %}{% endif %}",
       }) {
    EXPECT_EQ(Rendered(source), refused) << source;
  }
  EXPECT_THAT(Rendered("{% if true %}\n{{ 1 is nope }}{% endif %}"),
              HasSubstr("fails on this request at its line 2: unknown test \"nope\""));
}

// Each construct that can nest, 100,000 deep or as deep as a template's size allows: it is refused,
// or it is a loop.
TEST(Parser, NoDepthExhaustsTheStack) {
  const auto times = [](std::string_view text) {
    std::string out;
    for (size_t i = 0; i < std::min<size_t>(100'000, 500'000 / text.size()); ++i) out += text;
    return out;
  };
  const std::string sources[] = {
      "{{ " + times("(") + "1" + times(")") + " }}",
      "{{ " + times("[") + times("]") + " }}",
      "{{ " + times("{1:") + "1" + times("}") + " }}",
      "{{ " + times("-") + "1 }}",
      "{{ " + times("not ") + "1 }}",
      "{{ 1" + times("+1") + " }}",
      "{{ 2" + times("**1") + " }}",
      "{{ a" + times(".b") + " }}",
      "{{ a" + times("[0]") + " }}",
      "{{ a" + times("(0)") + " }}",
      "{{ a" + times("|d") + " }}",
      "{{ a" + times(" is none") + " }}",
      "{{ a" + times(" is eq [") + " }}",
      "{{ a" + times(" if 1 else 2") + " }}",
      "{{ a" + times(" if 1") + " }}",
      "{{ f(" + times("f(") + " }}",
      "{% set " + times("(") + "a" + times(")") + " = 1 %}",
      "{% for " + times("(") + "a" + times(")") + " in b %}{% endfor %}",
      "{% macro m(a=" + times("[") + times("]") + ") %}{% endmacro %}",
      times("{% if 1 %}"),
      times("{% for a in b %}"),
      times("{% set a %}"),
      times("{% filter upper %}"),
      times("{% with %}"),
      times("{% macro m() %}"),
      times("{% call m() %}"),
      times("{% generation %}"),
  };
  for (const std::string& source : sources) {
    EXPECT_THAT(Rendered(source).substr(0, 200), StartsWith("PARSE line 1 of the chat template: "))
        << source.substr(0, 40);
  }
  EXPECT_EQ(
      Rendered("{{ 1" + times(" or 0") + " }}{% if 0 %}" + times("{% elif 0 %}") + "{% endif %}"),
      "1");
  EXPECT_EQ(Rendered("{{ 0" + times("<1") + " }}"), "False");
  EXPECT_EQ(Rendered("{{ 0" + times("~0") + " }}").size(), 100'001u);
}

}  // namespace
}  // namespace lockstep
