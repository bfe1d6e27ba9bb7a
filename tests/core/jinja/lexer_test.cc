#include "core/jinja/lexer.h"

#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(Lexer, CutsTextAndTagsAsJinja2Does) {
  const TemplateCase cases[] = {
      {"a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc"},
      {"a\n  {% if true %}b{% endif %}\n   {# c #}\nd", "a\nbd"},
      {"a\n  {%+ if true %}b{% endif +%}\nc", "a\n  b\nc"},
      {"a  {{- 1 -}}  b {{ 2 }}  c", "a1b 2  c"},
      {"a\n\n  {%- if true -%}\n\n b {%- endif %} c", "ab c"},
      {"x {#- a -#} y{# {{ #}z\r\nw\rv", "xyz\nw\nv"},
      {"{% raw %}{{ x }}{% y %}{% endraw %}|{%- raw -%} a {%- endraw -%} b", "{{ x }}{% y %}|ab"},
      {"{{ {'a': {'b': 1}}['a']['b'] }}{{ '}}' }}{{ \"%}\" }}{{ \"a\" 'b' }}", "1}}%}ab"},
      {"{{ 1_000 }} {{ 0x_1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e3 }} {{ 1e-2 }} {{ 1_0.5 }} {{ 0 }}",
       "1000 31 5 15 1500.0 0.01 10.5 0"},
      {"{ {a} {{ 1 }} { % %} # {", "{ {a} 1 { % %} # {"},
  };
  ExpectRendered(cases);
}

#include "core/jinja/failure.h"

TEST(Lexer, KnowsKindsTextsAndLines) {
  using jinja::Token;
  const auto tokens = jinja::Tokenize("a\n{{ b|c('d\\n', 12, 1.5) }}");
  const std::pair<Token::Kind, const char*> want[] = {
      {Token::Kind::kText, "a\n"},       {Token::Kind::kVariableBegin, "{{"},
      {Token::Kind::kName, "b"},         {Token::Kind::kOperator, "|"},
      {Token::Kind::kName, "c"},         {Token::Kind::kOperator, "("},
      {Token::Kind::kString, "d\n"},     {Token::Kind::kOperator, ","},
      {Token::Kind::kInteger, "12"},     {Token::Kind::kOperator, ","},
      {Token::Kind::kFloat, "1.5"},      {Token::Kind::kOperator, ")"},
      {Token::Kind::kVariableEnd, "}}"}, {Token::Kind::kEnd, ""},
  };
  ASSERT_EQ(tokens.size(), std::size(want));
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(tokens[i].kind, want[i].first) << i;
    EXPECT_EQ(tokens[i].text, want[i].second) << i;
    EXPECT_EQ(tokens[i].line, i == 0 ? 1 : 2) << i;
  }
}

TEST(Lexer, FailsAtTheLineThatIsWrong) {
  const TemplateCase cases[] = {
      {"\n{{ x", "2: a tag has no end }}"},
      {"{% x", "1: a tag has no end %}"},
      {"{# x", "1: a comment {# has no end #}"},
      {"{% raw %}x", "1: {% raw %} has no {% endraw %}"},
      {"\n\n{{ 'x }}", "3: a string has no closing quote"},
      {"{{ (] }}", "1: ']' closes no '['"},
      {"{{ ) }}", "1: ')' closes no '('"},
      {"{{ 1 ! 2 }}", "1: unexpected character \"!\""},
      {"{{ 0x }}", "1: the number \"0x\" is too large, or none"},
      {"{{ 1e999 }}", "1: the number \"1e999\" is too large, or none"},
      {"{{ '\\ud800' }}", "1: a string has the escape \"\\\\ud800\", which names no character"},
  };
  for (const auto& [source, want] : cases) {
    try {
      jinja::Tokenize(source);
      ADD_FAILURE() << source;
    } catch (const jinja::Failure& failure) {
      EXPECT_EQ(std::to_string(failure.line) + ": " + failure.message, want);
    }
  }
}

}  // namespace
}  // namespace lockstep
