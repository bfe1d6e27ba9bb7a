#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Functions, DoWhatJinja2sDo) {
  const TemplateCase cases[] = {
      {"{{ range(3) | list }} {{ range(1, 3) | list }} {{ range(5, 0, -2) | list }} {{ range(3, 1) "
       "| list }} {{ range(3) }} {{ range(0, 4, 2) | length }} {{ range(4)[1:3] | list }} {{ "
       "range(4)[-1] }}",
       "[0, 1, 2] [1, 2] [5, 3, 1] [] range(0, 3) 2 [1, 2] 3"},
      {"{{ namespace(a=1).a }} {% set n = namespace({'b': 2}, c=3) %}{{ n.b }}{{ n.c }} {{ n.d is "
       "defined }} {% set n.b = 5 %}{{ n.b }}",
       "1 23 False 5"},
      {"{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% "
       "set x = c.reset() %}{{ c.current }}",
       "ababa"},
      {"{% set j = joiner(', ') %}{% for x in 'abc' %}{{ j() }}{{ x }}{% endfor %}", "a, b, c"},
  };
  ExpectRendered(cases);
}

TEST(Functions, RefuseWhatTheyCannotDo) {
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const TemplateCase cases[] = {
      {"{{ range(1, 2, 0) }}", where + "range's step cannot be 0"},
      {"{{ range(100001) }}", where + "range is longer than 100000"},
      {"{{ cycler() }}", where + "cycler needs something to cycle through"},
      {"{{ namespace({1: 2}) }}", where + "a namespace's names are strings"},
  };
  ExpectRendered(cases);
  EXPECT_EQ(Rendered("{{ strftime_now('%Y') | length }} {{ strftime_now('') }}"), "4 ");
}

}  // namespace
}  // namespace lockstep
