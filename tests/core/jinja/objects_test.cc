#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Objects, BehaveAsJinja2sDo) {
  const TemplateCase cases[] = {
      {"{% for x in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 "
       "}}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% "
       "endfor %}",
       "1032TrueFalse310;2121FalseFalse310;3210FalseTrue310;"},
      {"{% for x in [1, 2] %}{{ loop.previtem }}-{{ loop.nextitem }};{{ loop.previtem is defined "
       "}}{% endfor %}",
       "-2;False1-;True"},
      {"{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.cycle('a', 'b') }}{% endfor %}",
       "TrueaFalsebTruea"},
      {"{% for x in [1, [2, [3]]] recursive %}{{ loop.depth }}{% if x is iterable %}({{ loop(x) "
       "}}){% else %}{{ x }}{% endif %}{% endfor %}",
       "111(222(33))"},
      {"{% for a in 'ab' %}{% set outer = loop %}{% for b in 'xy' %}{{ outer.index }}{{ loop.index "
       "}} {% endfor %}{% endfor %}",
       "11 12 21 22 "},
      {"{% macro m(a) %}{{ a }}{% endmacro %}{{ m.name }}{{ m(1) }} {% set f = m %}{{ f(2) }} {% "
       "set up = 'abc'.upper %}{{ up() }}",
       "m1 2 ABC"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
