#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(TextOfValues, IsPythonsStrAndRepr) {
  const TemplateCase cases[] = {
      {"{{ none }} {{ true }} {{ missing }}| {{ 1 }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 "
       "}} {{ 'a' }}",
       "None True | 1 1.0 1e+16 1e-05 0.30000000000000004 a"},
      {"{{ [none, true, 1, 1.5, 'a', [], {}, ()] }} {{ (1,) }} {{ {'a': (1, 2), 2: none} }} {{ "
       "[missing] }}",
       "[None, True, 1, 1.5, 'a', [], {}, ()] (1,) {'a': (1, 2), 2: None} [Undefined]"},
      {"{{ ['it\\'s', 'say \"hi\"', 'both \\' and \"', 'back\\\\slash', 'tab\\tnl\\ncr\\r', "
       "'\\x00\\x7f', 'é🌍', '\\u200b', '\\xa0'] }}",
       "[\"it's\", 'say \"hi\"', 'both \\' and \"', 'back\\\\slash', 'tab\\tnl\\ncr\\r', "
       "'\\x00\\x7f', 'é🌍', '\\u200b', '\\xa0']"},
      {"{{ range(3) }} {{ range(1, 6, 2) }} {{ 'a' ~ 1 ~ none ~ [1] }} {{ [1] | string }}",
       "range(0, 3) range(1, 6, 2) a1None[1] [1]"},
  };
  ExpectRendered(cases);
}

TEST(TextOfValues, WhatHasNoneIsRefused) {
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const TemplateCase cases[] = {
      {"{{ range }}", where + "a function cannot be written as text"},
      {"{{ [1] | map('string') }}", where + "a generator cannot be written as text: use list"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
