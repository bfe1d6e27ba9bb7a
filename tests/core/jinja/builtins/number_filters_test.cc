#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(NumberFilters, DoWhatJinja2sDo) {
  const TemplateCase cases[] = {
      {"{{ -1 | abs }} {{ (-1) | abs }} {{ (-1.5) | abs }} {{ true | abs }}", "1 1 1.5 1"},
      {"{{ '12' | int }} {{ ' -1_0 ' | int }} {{ '1.9' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} "
       "{{ 2.9 | int }} {{ none | int }} {{ '0x1f' | int(base=16) }} {{ 'ff' | int(0, 16) }} {{ "
       "true | int }}",
       "12 -10 1 0 7 2 0 31 255 1"},
      {"{{ '1.5' | float }} {{ 'x' | float }} {{ 'x' | float(2.5) }} {{ '1e3' | float }} {{ 3 | "
       "float }} {{ 'inf' | float }}",
       "1.5 0.0 2.5 1000.0 3.0 inf"},
      {"{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 42 | round }} {{ 1234.5 | "
       "round(-2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.19 | round(1, 'floor') }} {{ 1250 | "
       "round(-2) }}",
       "2.0 4.0 2.67 42 1200.0 3.0 2.1 1200"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
