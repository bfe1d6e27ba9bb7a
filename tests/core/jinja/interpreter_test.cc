#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

TEST(Interpreter, WhatIsMadeIsCountedBeforeItIsMade) {
  TemplateLimits low;
  low.made_bytes = 100'000;
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const std::string bytes = where + "it makes more than 100000 bytes of strings and lists";
  for (const char* source :
       {"{{ 'x' * 1000000000000 }}", "{{ [1] * 1000000000000 }}", "{{ 'x' | center(999999999) }}",
        "{{ ('x' * 1000) | map('string') | list }}", "{{ range(5000) | batch(1) | list }}"}) {
    EXPECT_EQ(Rendered(source, low), bytes) << source;
  }
  low.steps = 10;
  EXPECT_EQ(Rendered("{% for x in range(9) %}{{ x }}{% endfor %}", low),
            where + "it takes more than 10 steps");
}

TEST(Interpreter, ValuesNestNoDeeperThanTheyCanBeFreed) {
  const std::string where = "ERROR the chat template fails on this request at its line 1: ";
  const std::string begin = "{% set n = namespace(v=1) %}{% for i in range(999) %}{% set n.v = ";
  for (const char* deeper : {"[n.v]", "(n.v,)", "{'a': n.v}", "{'a': n.v}.items() | list"}) {
    const std::string got = Rendered(begin + deeper + " %}{% endfor %}");
    EXPECT_NE(got.find("nested more than 100 deep"), std::string::npos) << deeper << got;
  }
}

}  // namespace
}  // namespace lockstep
