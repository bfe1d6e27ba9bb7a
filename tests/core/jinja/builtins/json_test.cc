#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are those of Python's json.dumps, as Hugging Face's templates call it.
TEST(Json, IsWrittenAsPythonWritesIt) {
  const TemplateCase cases[] = {
      {"{{ dict | tojson }} {{ [] | tojson(indent=2) }} {{ {} | tojson }}",
       "{\"items\": 1, \"k\": \"v\"} [] {}"},
      {"{{ [none, true, 1, 1.0, 1e30, 'a'] | tojson }}", "[null, true, 1, 1.0, 1e+30, \"a\"]"},
      {"{{ {'b': [1, 'é\\n'], 'a': (2,)} | tojson(indent=2, sort_keys=true) }}",
       "{\n  \"a\": [\n    2\n  ],\n  \"b\": [\n    1,\n    \"é\\n\"\n  ]\n}"},
      {"{{ [1, {'a': 2}] | tojson(separators=(',', ':')) }}", "[1,{\"a\":2}]"},
      {"{{ [1] | tojson(indent='-') }}", "[\n-1\n]"},
      {"{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}", "{\"1\": 4, \"null\": 3, \"1.5\": 5}"},
      {"{{ '\"\\\\\\t\\x01\\x7f/<' | tojson }}", "\"\\\"\\\\\\t\\u0001\x7f/<\""},
      {"{{ 'é🌍' | tojson(ensure_ascii=true) }}", "\"\\u00e9\\ud83c\\udf0d\""},
  };
  ExpectRendered(cases);
}

TEST(Json, IsReadAsPythonReadsIt) {
  const TemplateCase cases[] = {
      {"{{ '{\"a\": [1, -2.5e1, true, null]}' | from_json }}", "{'a': [1, -25.0, True, None]}"},
      {"{{ ' [ ] ' | from_json }} {{ '{}' | from_json }} {{ '0' | from_json }}", "[] {} 0"},
      {"{{ '123456789012345678901' | from_json + 0 if false else '-0' | from_json }}", "0"},
      {"{{ '[123456789012345678901]' | from_json }}", "[123456789012345678901]"},
      {"{{ '\"\\\\u00e9\\\\ud83c\\\\udf0d\\\\n\\\\/\"' | from_json }}", "é🌍\n/"},
      {"{{ '{\"a\": 1, \"b\": 2, \"a\": 3}' | from_json }}", "{'a': 3, 'b': 2}"},
      {"{{ '[NaN, Infinity, -Infinity]' | from_json }}", "[nan, inf, -inf]"},
  };
  ExpectRendered(cases);
  for (const char* text :
       {"", "[1", "[1,]", "{a: 1}", "{\\\"a\\\" 1}", "1 2", "01", "1.", "-", "1e", "nul", "\\\"a",
        "\\\"\\n\\\"", "\\\"\\\\x\\\"", "\\\"\\\\ud800\\\"", "'a'"}) {
    const std::string source = std::string("{{ \"") + text + "\" | from_json }}";
    EXPECT_EQ(Rendered(source).find("ERROR the chat template fails on this request"), 0u) << source;
  }
  const std::string deep(100000, '[');
  EXPECT_NE(Rendered("{{ '" + deep + "' | from_json }}").find("nested more than 100 deep"),
            std::string::npos);
}

TEST(Json, ATextsTrustGoesWithIt) {
  const auto parsed =
      ChatTemplate::Parse("{{ ('[\"<|a|>\", \"' ~ text ~ '\"]') | from_json | join('.') }}");
  const auto prompt = parsed->Render(TemplateVariables());
  ASSERT_TRUE(prompt);
  EXPECT_EQ(prompt->bytes(), "<|a|>." + std::string(kAttack));
  ASSERT_EQ(prompt->runs().size(), 2u);
  EXPECT_EQ(prompt->runs()[0].end, 6u);
  EXPECT_FALSE(prompt->runs()[1].trusted);
}

}  // namespace
}  // namespace lockstep
