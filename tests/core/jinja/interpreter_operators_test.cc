#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Operators, ComputeAsPythonDoes) {
  const TemplateCase cases[] = {
      {"{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 7.5 // 2 "
       "}} {{ -7.5 % 2 }} {{ 7.5 % -2 }}",
       "3 -4 -2 2 3.5 3.0 3.0 0.5 -0.5"},
      {"{{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2.0 ** 3 }} {{ 0 ** 0 }} {{ (-2) ** 3 }} {{ true + true }} "
       "{{ 1 + 0.5 }} {{ 3 - true }}",
       "1024 0.5 8.0 1 -8 2 1.5 2"},
      {"{{ 'a' + 'b' }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'ab' * 2 }} {{ 2 * [1, 2] }} {{ (0,) "
       "* 2 }} {{ 'a' * -1 }}| {{ [1] * 0 }}",
       "ab [1, 2] (1, 2) abab [1, 2, 1, 2] (0, 0) | []"},
      {"{{ 1 == 1.0 }} {{ true == 1 }} {{ '1' == 1 }} {{ none == none }} {{ [1, [2]] == [1, [2]] "
       "}} {{ (1,) == [1] }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ {'a': 1} == {'a': 2} }} "
       "{{ missing == missing }} {{ none == missing }} {{ none != 0 }}",
       "True True False True True False True False True False True"},
      {"{{ 1 < 2 <= 2 < 3 }} {{ 3 > 2 > 2 }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ 'é' > 'z' }} {{ "
       "[1, 2] < [1, 3] }} {{ (1,) < (1, 0) }} {{ 1.5 >= 1 }} {{ true > false }}",
       "True False True True True True True True True"},
      {"{{ 'b' in 'abc' }} {{ '' in 'a' }} {{ 1 in [1.0] }} {{ 'a' in {'a': 1} }} {{ 1 not in (2,) "
       "}} {{ 2 in range(3) }} {{ 'x' in missing }}",
       "True True True True True True False"},
      {"{{ 'nan' | float == 'nan' | float }} {{ 'nan' | float < 1 }} {{ 'nan' | float >= 1 }} {{ "
       "-true }} {{ +true }} {{ -1.5 }} {{ - -1 }}",
       "False False False -1 1 -1.5 1"},
  };
  ExpectRendered(cases);
}

TEST(Operators, RefuseWhatPythonRefuses) {
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const TemplateCase cases[] = {
      {"{{ 1 + 'a' }}", where + "'+' does not apply to int and str"},
      {"{{ 1 // 0 }}", where + "division by zero"},
      {"{{ 1.0 % 0 }}", where + "division by zero"},
      {"{{ 0 ** -1 }}", where + "0 cannot be raised to a negative power"},
      {"{{ 9223372036854775807 + 1 }}", where + "'+' leaves the range of integers"},
      {"{{ (-9223372036854775807 - 1) // -1 }}", where + "'//' leaves the range of integers"},
      {"{{ 1 < 'a' }}", where + "int and str have no order"},
      {"{{ 1 in 'a' }}", where + "only a string can be in a string, not a int"},
      {"{{ 1 in 1 }}", where + "'in' does not apply to int"},
      {"{{ -'a' }}", where + "'-' does not apply to str"},
      {"{{ missing + 1 }}", where + "'missing' is undefined"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
