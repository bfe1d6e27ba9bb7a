#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Expressions, AreEvaluatedAsJinja2Does) {
  const TemplateCase cases[] = {
      {"{{ [1, 'a' ~ 2, (3,)] }} {{ {'a': 1, 'b': [2]} }} {{ {'a': 1, 'a': 2} }} {{ (1, 2) }} {{ 1 "
       "~ 'a' ~ none }}",
       "[1, 'a2', (3,)] {'a': 1, 'b': [2]} {'a': 2} (1, 2) 1aNone"},
      {"{{ 0 or 'a' }} {{ 1 and 'b' }} {{ 0 and x.y }} {{ 1 or x.y }} {{ not '' }} {{ '' or [] or "
       "none }}",
       "a b 0 1 True None"},
      {"{{ 'a' if true }} {{ 'a' if false }}| {{ 'a' if false else 'b' }} {{ ('a' if false) is "
       "defined }}",
       "a | b False"},
      {"{{ 1 < 2 < x if false else 1 < 2 > 1 }} {{ 3 < 2 < x.y }} {{ 'a' | upper | lower }} {{ 1 "
       "is odd and 2 is even }}",
       "True False a True"},
      {"{{ range(*[1, 4]) | list }} {{ range(1, *[4, 2]) | list }} {{ namespace(**{'a': 5}).a }} "
       "{{ 'a,b'.split(sep=',') }} {{ 'a b'.split(maxsplit=0) }}",
       "[1, 2, 3] [1, 3] 5 ['a', 'b'] ['a b']"},
      {"{{ [1, 2].index(2) }} {{ dict.get('k').upper() }} {{ 'abc'.upper()[1:].lower() }} {{ "
       "[range][0](2) | list }}",
       "1 V bc [0, 1]"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
