#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Selection, ChoosesAsJinja2Does) {
  const TemplateCase cases[] = {
      {"{{ ['a', 'b'] | map('upper') | list }} {{ [1, 2] | map('string') | join('-') }} {{ [[1, "
       "2], [3]] | map('length') | list }} {{ ['a', 'b'] | map('replace', 'a', 'c') | list }}",
       "['A', 'B'] 1-2 [2, 1] ['c', 'b']"},
      {"{{ [{'a': 1}, {}] | map(attribute='a', default=0) | list }} {{ [{'a': [5]}] | "
       "map(attribute='a.0') | list }} {{ [[7, 8]] | map(attribute=1) | list }}",
       "[1, 0] [5] [8]"},
      {"{{ [1, 2, 3] | select('odd') | list }} {{ [1, 2, 3] | reject('odd') | list }} {{ [0, 1, "
       "''] | select | list }} {{ [0, 1] | reject | list }} {{ [1, 2, 3] | select('gt', 1) | list "
       "}} {{ [1, 5] | select('in', [5, 6]) | list }}",
       "[1, 3] [2] [1] [0] [2, 3] [5]"},
      {"{{ [{'a': 1, 'b': 0}, {'a': 2, 'b': 1}] | selectattr('b') | map(attribute='a') | list }} "
       "{{ [{'a': 1}, {'a': 2}] | rejectattr('a', 'eq', 1) | list }} {{ [{'a': {'b': 1}}] | "
       "selectattr('a.b', 'equalto', 1) | list }} {{ [{}, {'a': none}] | selectattr('a', "
       "'defined') | list }}",
       "[2] [{'a': 2}] [{'a': {'b': 1}}] [{'a': None}]"},
      {"{{ [1, 2, 3] | sum }} {{ [{'a': 1}, {'a': 2}] | sum('a') }} {{ [1] | sum(start=10) }} {{ "
       "[] | sum }} {{ [0.5, 1] | sum }}",
       "6 3 11 0 1.5"},
      {"{{ [2, 1, 3] | max }} {{ ['b', 'A'] | min }} {{ ['b', 'A'] | min(true) }} {{ [{'n': 2}, "
       "{'n': 1}] | min(attribute='n') }} {{ [] | max }}",
       "3 A A {'n': 1} "},
      {"{{ 'abc' | map('upper') | list }} {{ none | map('upper') | list if false else 'x' }} {{ [] "
       "| map('nope') | list }}",
       "['A', 'B', 'C'] x []"},
  };
  ExpectRendered(cases);
}

// Each level of map('map', ...) takes the characters of a string, which are strings again.
TEST(Selection, DoesNotRecurseAsDeepAsItHasArguments) {
  TemplateLimits low;
  low.made_bytes = size_t{32} << 20;
  std::string source = "{{ 'a' | map(";
  for (int i = 0; i < 100'000; ++i) source += "'map',";
  EXPECT_EQ(Rendered(source + "'upper') | list }}", low).find("ERROR"), 0u);
  const std::string spread = "{% set m = ['map'] * 100000 %}{{ 'a' | map(*m) | list }}";
  EXPECT_EQ(Rendered(spread, low).find("ERROR"), 0u);
  EXPECT_EQ(Rendered("{{ ['ab'] | map('map', 'upper') | map('list') | list }}"), "[['A', 'B']]");
}

}  // namespace
}  // namespace lockstep
