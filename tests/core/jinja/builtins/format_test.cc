#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Format, WritesWhatPythonWrites) {
  const TemplateCase cases[] = {
      {"{{ '%s %r %d %i' % ('a', 'b', 3.9, true) }} {{ '%5s|%-5s|%05d|%+d|% d' % ('a', 'b', 42, 7, "
       "7) }} {{ '%%' % () }}",
       "a 'b' 3 1     a|b    |00042|+7| 7 %"},
      {"{{ '%x %X %#x %o %#o %b' % (255, 255, 255, 8, 8, 1) if false else '%x %X %#x %o' % (255, "
       "255, 255, 8) }} {{ '%x' % -255 }} {{ '%.3d' % 7 }}",
       "ff FF 0xff 10 -ff 007"},
      {"{{ '%f %.2f %e %.1E %g %G %.3g' % (1.5, 2.345, 12345.678, 0.00012, 1e-5, 1e20, 1234.5) }} "
       "{{ '%5.1f|%-7.2f|%07.2f' % (1.25, 1.5, -1.5) }}",
       "1.500000 2.35 1.234568e+04 1.2E-04 1e-05 1E+20 1.23e+03   1.2|1.50   |-001.50"},
      {"{{ '%(a)s-%(b)d' % {'a': 1, 'b': 2} }} {{ '%*d|%.*f' % (5, 42, 2, 3.14159) }} {{ '%.2s' % "
       "'éßc' }} {{ '%c%c' % ('x', 65) }} {{ '%s' % none }} {{ '%s' % [1] }}",
       "1-2    42|3.14 éß xA None [1]"},
      {"{{ '{} {}'.format(1, 'a') }} {{ '{1} {0}'.format(1, 2) }} {{ '{a} {b.c} {l[0]} "
       "{d[k]}'.format(a=1, b={'c': 2}, l=[3], d={'k': 4}) if false else '{a} {l[0]} "
       "{d[k]}'.format(a=1, l=[3], d={'k': 4}) }} {{ '{{}}'.format() }}",
       "1 a 2 1 1 3 4 {}"},
      {"{{ '{:5}|{:<5}|{:>5}|{:^5}|{:*^7}|{:=+6}'.format('a', 'b', 'c', 'd', 'é', 7) }} {{ "
       "'{:5}|{:<5}|{:05}|{:+}|{: }'.format(1, 2, 3, 4, 5) }}",
       "a    |b    |    c|  d  |***é***|+    7     1|2    |00003|+4| 5"},
      {"{{ '{:,} {:_} {:,.2f} {:x} {:#X} {:o} {:b} {:d}'.format(1234567, 1234567, 1234567.891, "
       "255, 255, 8, 5, 42) }} {{ '{:.3} {:.2f} {:e} {:g} {:%} {:.1%}'.format('abcd', 1.005, "
       "1500.0, 0.0001, 0.25, 0.125) }}",
       "1,234,567 1_234_567 1,234,567.89 ff 0XFF 10 101 42 abc 1.00 1.500000e+03 0.0001 25.000000% "
       "12.5%"},
      {"{{ '%#.0f %#.3g %#G' % (3, 1, 1) }} {{ '{:#.0f} {:#.0e} {:#.0%} {:#}'.format(3.0, 3.0, "
       "0.3, 3.0) }}",
       "3. 1.00 1.00000 3. 3.e+00 30.% 3.0"},
      {"{{ '{!r} {!s:>4} {}'.format('a', 'b', 1.0) }} {{ '{} {}'.format(true, none) }}",
       "'a'    b 1.0 True None"},
  };
  ExpectRendered(cases);
}

TEST(Format, RefusesWhatPythonRefuses) {
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const TemplateCase cases[] = {
      {"{{ '%d' % 'x' }}", where + "'%d' needs a number, not a str"},
      {"{{ '%s' % () }}", where + "'%' has too few arguments for its format"},
      {"{{ 'a' % 1 }}", where + "not all arguments of '%' are used by its format"},
      {"{{ '%' % 1 }}", where + "a format ends in the middle of '%'"},
      {"{{ '%y' % 1 }}", where + "'%y' is no known format"},
      {"{{ '{} {}'.format(1) }}", where + "format has no argument 1"},
      {"{{ '{a}'.format(b=1) }}", where + "format has no argument 'a'"},
      {"{{ '{'.format(1) }}", where + "a brace in a format has no partner"},
      {"{{ '{:d}'.format(1.5) }}", where + "the format 'd' needs an integer"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
