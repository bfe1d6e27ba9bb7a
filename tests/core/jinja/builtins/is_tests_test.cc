#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(IsTests, HoldAsJinja2sDo) {
  const TemplateCase cases[] = {
      {"{{ x is defined }} {{ text is defined }} {{ x is undefined }} {{ none is none }} {{ 0 is "
       "none }}",
       "False True True True False"},
      {"{{ true is boolean }} {{ 1 is boolean }} {{ true is integer }} {{ 1 is integer }} {{ 1.0 "
       "is integer }} {{ 1.0 is float }} {{ true is number }} {{ '1' is number }}",
       "True False False True False True True False"},
      {"{{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }}",
       "True False True False"},
      {"{{ 'a' is string }} {{ {} is mapping }} {{ [] is mapping }} {{ [] is sequence }} {{ 'a' is "
       "sequence }} {{ {} is sequence }} {{ 1 is iterable }} {{ 'a' is iterable }} {{ range(2) is "
       "iterable }}",
       "True True False True True True False True True"},
      {"{{ range is callable }} {{ dict.items is callable }} {{ 1 is callable }}",
       "True True False"},
      {"{{ 3 is odd }} {{ -3 is odd }} {{ 4 is even }} {{ 9 is divisibleby(3) }} {{ 9 is "
       "divisibleby 2 }}",
       "True True True True False"},
      {"{{ 1 is eq 1.0 }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is le 2 }} {{ 3 is gt 2 }} {{ 3 is "
       "ge 4 }} {{ 1 is equalto 1 }} {{ 1 is lessthan 2 }} {{ 1 is greaterthan 2 }} {{ 'a' is in "
       "'abc' }} {{ 1 is in [2] }}",
       "True True True True True False True True False True False"},
      {"{{ 1 is sameas 1.0 }} {{ none is sameas none }} {{ true is sameas true }} {{ 1 is sameas "
       "true }} {{ [] is sameas [] }} {{ list is sameas list }}",
       "False True True False False True"},
      {"{{ 'aB' is lower }} {{ 'a1' is lower }} {{ 'A1' is upper }} {{ '1' is upper }} {{ 'upper' "
       "is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 'nope' is test }} {{ 'a' is "
       "escaped }}",
       "False True True False True False True False False"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
