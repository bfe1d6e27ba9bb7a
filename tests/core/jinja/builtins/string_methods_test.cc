#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(StringMethods, DoWhatPythonsDo) {
  const TemplateCase cases[] = {
      {"{{ 'hELLO wORLD'.capitalize() }} {{ \"it's a dog\".title() }} {{ 'ǆ ß'.upper() }} {{ "
       "'ÀÉ'.lower() }}",
       "Hello world It'S A Dog Ǆ SS àé"},
      {"{{ '  a '.strip() }}|{{ '  a '.lstrip() }}|{{ '  a '.rstrip() }}|{{ 'xyaxy'.strip('yx') "
       "}}|{{ '\\u3000a\\x85'.strip() }}",
       "a|a |  a|a|a"},
      {"{{ 'a,b,,c'.split(',') }} {{ 'a,b,,c'.split(',', 1) }} {{ ' a  b '.split() }} {{ ' a  b c "
       "'.split(none, 1) }} {{ ''.split() }} {{ ''.split(',') }}",
       "['a', 'b', '', 'c'] ['a', 'b,,c'] ['a', 'b'] ['a', 'b c '] [] ['']"},
      {"{{ 'a,b,,c'.rsplit(',', 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ 'éaéb'.rsplit('é') }}",
       "['a,b,', 'c'] [' a  b', 'c'] ['', 'a', 'b']"},
      {"{{ 'a\\nb\\r\\nc\\x0bd\\u2028e'.splitlines() }} {{ 'a\\n\\nb\\n'.splitlines(true) }}",
       "['a', 'b', 'c', 'd', 'e'] ['a\\n', '\\n', 'b\\n']"},
      {"{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('=') }} {{ "
       "'abc'.rpartition('=') }}",
       "('a', '=', 'b=c') ('a=b', '=', 'c') ('abc', '', '') ('', '', 'abc')"},
      {"{{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abcabc'.find('c', 3) }} {{ "
       "'abcabc'.find('c', 0, -4) }} {{ 'abc'.find('z') }} {{ 'éßc'.index('c') }}",
       "2 5 5 -1 -1 2"},
      {"{{ 'banana'.count('an') }} {{ 'banana'.count('') }} {{ 'banana'.count('a', 2) }} {{ "
       "'banana'.count('a', -1) }}",
       "2 7 2 1"},
      {"{{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('b', 0, "
       "2) }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.startswith('', 9) }}",
       "True True True True False"},
      {"{{ 'aXbX'.replace('X', 'yy') }} {{ 'aXbX'.replace('X', '', 1) }} {{ 'abc'.replace('', '-') "
       "}} {{ 'abc'.replace('', '-', 2) }}",
       "ayybyy abX -a-b-c- -a-bc"},
      {"{{ '-'.join(['a', 'b']) }} {{ ''.join('abc') }} {{ ', '.join([]) }}", "a-b abc "},
      {"{{ 'prefix-a'.removeprefix('prefix-') }} {{ 'a.txt'.removesuffix('.txt') }} {{ "
       "'a'.removeprefix('b') }}",
       "a a a"},
      {"{{ 'é'.ljust(3, '.') }} {{ 'é'.rjust(3, '.') }} {{ 'ab'.center(5, '.') }} {{ "
       "'abc'.center(6, '.') }} {{ '-7'.zfill(4) }}",
       "é.. ..é ..ab. .abc.. -007"},
      {"{{ 'a1'.isalnum() }} {{ 'é'.isalpha() }} {{ 'é'.isascii() }} {{ '12'.isdigit() }} {{ "
       "''.isdigit() }} {{ ' \\t'.isspace() }} {{ 'aB'.islower() }} {{ 'A1'.isupper() }} {{ "
       "'1'.isupper() }}",
       "True True False True False True False True False"},
      {"{{ '{} {0}'.format(1) if false else '{0}-{1}'.format('a', 'b') }} {{ 'ABC'.casefold() }}",
       "a-b abc"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
