#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(TextFilters, DoWhatJinja2sDo) {
  const TemplateCase cases[] = {
      {"{{ ' a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 12 | upper }}{{ true | lower }}",
       "a|a|12true"},
      {"{{ \"it's a-b (c) {d\" | title }} {{ 'hELLO' | capitalize }} {{ 'aé' | upper }}",
       "It's A-B (C) {D Hello AÉ"},
      {"{{ 'aaa' | replace('a', 'b', 2) }} {{ 121 | replace(1, 'x') }} {{ 'a' | replace('b', 'c') "
       "}}",
       "bba x2x a"},
      {"{{ 5 | string | length }} {{ [1, 'a'] | string }} {{ '<' | safe }}", "1 [1, 'a'] <"},
      {"{{ '%s-%03d' | format('a', 7) }} {{ '%(x)s' | format(x=1) }}", "a-007 1"},
      {"{{ 'a<b>&\\'\"' | e }} {{ 'a b/ü?' | urlencode }}",
       "a&lt;b&gt;&amp;&#39;&#34; a%20b/%C3%BC%3F"},
      {"{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(1, "
       "false, true) }}|{{ 'a\\nb' | indent('> ') }}",
       "a\n    b\n\n    c|  a\n  b|a\n \n b|a\n> b"},
      {"{{ 'foo bar baz qux' | truncate(9) }} {{ 'foo bar baz qux' | truncate(9, true) }} {{ 'foo "
       "bar baz qux' | truncate(11) }} {{ 'foo bar' | truncate(5, false, '!', 0) }}",
       "foo... foo ba... foo bar baz qux foo!"},
      {"|{{ 'ab' | center(7) }}| {{ 'a b, c-d é' | wordcount }} {{ '' | wordcount }}",
       "|   ab  | 5 0"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
