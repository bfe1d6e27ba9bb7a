#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Attributes, AreFoundAsJinja2FindsThem) {
  const TemplateCase cases[] = {
      {"{{ dict.k }} {{ dict['k'] }} {{ dict.items is callable }} {{ dict['items'] }} {{ dict.z "
       "}}| {{ dict['z'] is defined }} {{ dict.z is defined }}",
       "v v True 1 | False False"},
      {"{{ list[0] }} {{ list[-1] }} {{ list[9] is defined }} {{ list.0 }} {{ (1, 2)[1] }} {{ {1: "
       "'a', none: 'b', (1, 2): 'c'}[1] }} {{ {(1, 2): 'c'}[(1, 2)] }} {{ {1: 'a'}[1.0] }} {{ {1: "
       "'a'}[true] }} {{ list[true] }}",
       "b c False b 2 a c a a A"},
      {"{{ uni[0] }} {{ uni[-1] }} {{ uni[2] }} {{ uni[99] is defined }}", "G 🌍 ü False"},
      {"{{ uni[1:3] }} {{ uni[:-2] }} {{ uni[::2] }} {{ uni[::-1] }} {{ uni[5:1:-2] }} {{ "
       "uni[-99:99] }} {{ uni[3:1] }}|",
       "rü Grüße Güe🌍 🌍 eßürG  ß Grüße 🌍 |"},
      {"{{ list[1:] }} {{ list[::-1] }} {{ list[:1] }} {{ (1, 2, 3)[::2] }} {{ list[-1:] }} {{ [1, "
       "2, 3][2:0:-1] }} {{ [1, 2, 3][none:none] }}",
       "['A', 'c'] ['c', 'A', 'b'] ['b'] (1, 3) ['c'] [3, 2] [1, 2, 3]"},
      {"{% for x in {'a': 1, 'b': 2} %}{{ x }}{% endfor %}{% for x in 'éß' %}{{ x }}.{% endfor "
       "%}{% for x in missing %}{% else %}none{% endfor %}",
       "abé.ß.none"},
      {"{% set m = [1, 2] | map('string') %}{{ m | join }}{{ m | join }} {{ (1, 2) | length }}",
       "12 2"},
  };
  ExpectRendered(cases);
}

TEST(Attributes, WhatWouldChangeAValueIsRefused) {
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const TemplateCase cases[] = {
      {"{{ [].append(1) }}",
       where + "append would change a list, which a chat template may not do"},
      {"{{ {}.update({}) }}",
       where + "update would change a dict, which a chat template may not do"},
      {"{{ dict.a.b }}", where + "'dict object' has no attribute \"a\""},
      {"{{ list[::0] }}", where + "the step of a slice cannot be 0"},
      {"{{ list['a':] }}", where + "a slice needs an integer, not a str"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
