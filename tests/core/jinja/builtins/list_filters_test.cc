#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(ListFilters, DoWhatJinja2sDo) {
  const TemplateCase cases[] = {
      {"{{ missing | default('x') }} {{ '' | default('y') }} {{ '' | d('y', true) }} {{ none | "
       "default('z') }} {{ missing | d }}",
       "x  y None "},
      {"{{ [1, 2] | length }} {{ 'é' | count }} {{ {'a': 1} | length }} {{ missing | length }}",
       "2 1 1 0"},
      {"{{ 'abc' | list }} {{ {'a': 1} | list }} {{ range(3) | list }}",
       "['a', 'b', 'c'] ['a'] [0, 1, 2]"},
      {"{{ [1, 2] | first }} {{ [1, 2] | last }} {{ 'abc' | first }} {{ [] | first }} {{ 'abc' | "
       "last }}",
       "1 2 a  c"},
      {"{{ [1, 2] | reverse | list }} {{ 'aé' | reverse }}", "[2, 1] éa"},
      {"{{ [1, 'a', none] | join('-') }} {{ [{'a': 1}, {'a': 2}] | join(',', 'a') }} {{ 'abc' | "
       "join('.') }}",
       "1-a-None 1,2 a.b.c"},
      {"{{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ [1, 3, 2] | "
       "sort(true) }} {{ [{'a': {'b': 2}}, {'a': {'b': 1}}] | sort(attribute='a.b') }}",
       "['A', 'b', 'c'] ['A', 'b'] [3, 2, 1] [{'a': {'b': 1}}, {'a': {'b': 2}}]"},
      {"{{ [{'a': 1, 'b': 2}, {'a': 1, 'b': 1}] | sort(attribute='a,b') }} {{ [(2, 'a'), (1, 'b')] "
       "| sort(attribute='0') }}",
       "[{'a': 1, 'b': 1}, {'a': 1, 'b': 2}] [(1, 'b'), (2, 'a')]"},
      {"{{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(by='value') }} {{ {'b': "
       "1, 'A': 2} | dictsort(true, reverse=true) }}",
       "[('A', 2), ('b', 1)] [('b', 1), ('A', 2)] [('b', 1), ('A', 2)]"},
      {"{{ ['a', 'A', 'b', 1, 1.0] | unique | list }} {{ ['a', 'A'] | unique(true) | list }} {{ "
       "[{'k': 1}, {'k': 1}] | unique(attribute='k') | list }}",
       "['a', 'b', 1] ['a', 'A'] [{'k': 1}]"},
      {"{{ {'a': 1} | items | list }} {{ missing | items | list }}", "[('a', 1)] []"},
      {"{% for g, l in [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}, {'a': 0, 'b': 4}] | groupby('a') %}{{ "
       "g }}:{{ l | map(attribute='b') | list }};{% endfor %}",
       "0:[4];1:[2, 3];"},
      {"{% for x in [{'a': 'nan' | float}, {'a': 'nan' | float}] | groupby('a') %}{{ x.list | "
       "length }}{% endfor %}",
       "11"},
      {"{% for x in [{'a': 'x'}, {'a': 'X'}, {}] | groupby('a', default='z') %}{{ x.grouper }}{{ "
       "x.list | length }}{% endfor %}",
       "x2z1"},
      {"{{ [1, 2, 3] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 0) | list }} {{ [] | batch(2) | "
       "list }}",
       "[[1, 2], [3]] [[1, 2], [3, 0]] []"},
      {"{{ [1, 2, 3, 4] | slice(3) | list }} {{ [1, 2, 3, 4] | slice(3, 0) | list }}",
       "[[1, 2], [3], [4]] [[1, 2], [3, 0], [4, 0]]"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
