#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Renderer, RunsStatementsAsJinja2Does) {
  const TemplateCase cases[] = {
      {"{% if 0 %}a{% elif '' %}b{% else %}c{% endif %}{% if [] %}{% endif %}", "c"},
      {"{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% for i in [1] %}{% set x = "
       "3 %}{% endfor %}{{ x }}",
       "22"},
      {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set x %} y {% endset %}[{{ x }}]{% set x | trim | "
       "upper %} y {% endset %}[{{ x }}]",
       "12[ y ][Y]"},
      {"{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for x in [1, 2, 3] "
       "if x != 2 %}{{ x }}{{ loop.length }}{% else %}none{% endfor %}{% for x in [] %}{% else "
       "%}none{% endfor %}",
       "1231232none"},
      {"{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break "
       "%}{% endif %}{{ x }}{% endfor %}",
       "02"},
      {"{% macro m(a, b=a, c='z') %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ "
       "m(1) }} {{ m(1, 2, 3, 4, d=5) }} {{ m(c=1, a=2) }}",
       "11z(){} 123(4,){'d': 5} 221(){}"},
      {"{% macro m() %}[{{ caller('x') }}]{% endmacro %}{% call(a, b='y') m() %}{{ a }}{{ b }}{% "
       "endcall %}",
       "[xy]"},
      {"{% macro fact(n) %}{{ n * (fact(n - 1) | int) if n > 1 else 1 }}{% endmacro %}{{ fact(5) "
       "}} {% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}",
       "120 False"},
      {"{% filter upper | replace('A', '-') %}a{{ 'b' }}{% endfilter %}{% with a = 1, b = 2 %}{{ a "
       "+ b }}{% endwith %}{{ a is defined }}{% print 1, 2 %}",
       "-B3False12"},
      {"{% set n = namespace(x=0) %}{% for i in range(3) %}{% set n.x = n.x + i %}{% endfor %}{{ "
       "n.x }}",
       "3"},
  };
  ExpectRendered(cases);
}

TEST(Renderer, SaysAtWhichLineItFailed) {
  const std::string where = "ERROR the chat template fails on this request at its line ";
  const TemplateCase cases[] = {
      {"\n{{ missing.x }}", where + "2: 'missing' is undefined"},
      {"{% macro m(a) %}\n{{ a.b.c }}{% endmacro %}\n{{ m() }}",
       where + "2: parameter 'a' was not provided"},
      {"{% macro m(a) %}{% endmacro %}\n{{ m(1, 2) }}",
       where + "2: macro m takes at most 1 arguments, not 2"},
      {"{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}", where + "1: macro m is given a twice"},
      {"{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", where + "1: macro m has no parameter b"},
      {"{% set a, b = [1] %}", where + "1: cannot unpack 1 values into 2 names"},
      {"{% set dict.x = 1 %}", where + "1: cannot set an attribute of 'dict': it is no namespace"},
      {"{% for x in 5 %}{% endfor %}", where + "1: a int cannot be gone through"},
      {"{{ 5() }}", where + "1: a value of type int cannot be called"},
      {"{{ raise_exception('no ' ~ 1) }}", "ERROR no 1"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
