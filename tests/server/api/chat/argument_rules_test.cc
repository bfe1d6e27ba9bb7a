// Arguments that are not JSON: what is bound, and that the rest is named. The forms are pieces of
// those of Qwen's coder and of Gemma; prepare_test has whole calls of every family.
#include "server/api/chat/argument_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/grammar/grammar.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// A null is no object to the reader of requests.
Json Parsed(const std::string& text) {
  return text == "null" ? Json(nullptr) : ParseStrictObject(text).value();
}

CallForm Tagged() {
  CallForm form;
  form.arguments = CallForm::Arguments::kTagged;
  form.key_before = "<parameter=";
  form.key_after = form.key_after_other = ">\n";
  form.value_after = "\n</parameter>\n";
  return form;
}

CallForm Gemma() {
  CallForm form;
  form.arguments = CallForm::Arguments::kGemma;
  return form;
}

// The arguments of a function with these parameters.
class Arguments {
 public:
  Arguments(const CallForm& form, const std::string& parameters, bool strict = true)
      : form_(form), rules_(form_, &json_, nullptr) {
    rule_ = rules_.Add({{"name", "f"}, {"parameters", Parsed(parameters)}, {"strict", strict}},
                       "tools[0]");
    if (!rule_) return;
    const auto grammar =
        ParseGbnf("root ::= " + *rule_ + "\n" + rules_.rules() + json_.rules(), "root");
    EXPECT_TRUE(grammar) << grammar.error().message;
    if (grammar) grammar_ = *grammar;
  }
  bool Allows(std::string_view text) const { return grammar_ && Matches(*grammar_, text); }
  bool AllowsTagged(const std::string& value) const {
    return Allows("<parameter=x>\n" + value + "\n</parameter>\n");
  }
  std::string error() const { return rule_ ? "" : rule_.error().message; }
  std::vector<std::string> dropped() const {
    std::vector<std::string> all = rules_.dropped();
    all.insert(all.end(), json_.dropped().begin(), json_.dropped().end());
    return all;
  }

 private:
  const CallForm form_;
  JsonGrammar json_;
  ArgumentRules rules_;
  Result<std::string> rule_;
  std::shared_ptr<const Grammar> grammar_;
};

std::string OfX(const std::string& schema) {
  return R"({"properties":{"x":)" + schema + R"(},"required":["x"]})";
}

TEST(ArgumentRulesTest, BareStringsAreBoundByAllThatIsSaidOfThem) {
  struct Case {
    const char *schema, *good, *bad;
  };
  const Case cases[] = {
      {R"({"type":"string","pattern":"^[a-z]{2,3}$"})", "abc", "Abc"},
      {R"({"type":"string","minLength":1})", "a\nb", ""},
      {R"({"type":"string","minLength":2,"maxLength":3})", "a<c", "abcd"},
      {R"({"type":"string","maxLength":300})", "a/c", "a<c"},  // counted without tags
      {R"({"type":"string","format":"date"})", "2024-02-29", "2023-02-29"},
      {R"({"type":"string","const":"a\nb"})", "a\nb", "a"},
      {R"({"enum":["a","bcd"],"minLength":2})", "bcd", "a"},
      {R"({"type":"string","anyOf":[{"pattern":"^a"},{"pattern":"b$"}]})", "ac", "ca"},
      {R"({"type":"string","title":"T","format":"password","minLength":1})", "p", ""},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.schema);
    const Arguments tagged(Tagged(), OfX(test.schema)), gemma(Gemma(), OfX(test.schema));
    EXPECT_TRUE(tagged.AllowsTagged(test.good)) << tagged.error();
    EXPECT_FALSE(tagged.AllowsTagged(test.bad));
    const auto quoted = [](std::string text) { return "x:<|\"|>" + text + "<|\"|>"; };
    EXPECT_TRUE(gemma.Allows(quoted(test.good))) << gemma.error();
    EXPECT_FALSE(gemma.Allows(quoted(test.bad)));
  }
}

// The reader ends a value at the first tag, wherever it begins.
TEST(ArgumentRulesTest, ABareStringEndsAtItsTag) {
  const Arguments arguments(Tagged(), OfX(R"({"type":"string","minLength":4})"));
  EXPECT_TRUE(arguments.AllowsTagged("abcd"));
  EXPECT_FALSE(arguments.AllowsTagged("a\n</parameter>\n"));
  EXPECT_FALSE(arguments.AllowsTagged("abc\n</parameter>"));  // its line break begins the tag
  EXPECT_TRUE(arguments.AllowsTagged("</parameter>"));
}

TEST(ArgumentRulesTest, ReferencesLeadOutOfAParameter) {
  const std::string schema = R"({"properties":{"a":{"type":"integer"},
      "b":{"$ref":"#/properties/a"},"c":{"type":"array","items":{"$ref":"#/$defs/d"}}},
      "required":["a","b"],"$defs":{"d":{"enum":["u"]}}})";
  const Arguments tagged(Tagged(), schema), gemma(Gemma(), schema);
  EXPECT_TRUE(
      tagged.Allows("<parameter=a>\n1\n</parameter>\n<parameter=b>\n2\n</parameter>\n"
                    "<parameter=c>\n[\"u\"]\n</parameter>\n"));
  EXPECT_FALSE(tagged.Allows("<parameter=a>\n1\n</parameter>\n<parameter=b>\nx\n</parameter>\n"));
  EXPECT_TRUE(gemma.Allows("a:1,b:2,c:[<|\"|>u<|\"|>]"));
  EXPECT_FALSE(gemma.Allows("a:1,b:2,c:[<|\"|>v<|\"|>]"));
  const Arguments whole(Tagged(), R"({"$ref":"#/definitions/A","definitions":{"A":{
      "properties":{"x":{"type":"integer"}},"required":["x"]}}})");
  EXPECT_TRUE(whole.AllowsTagged("1"));
  EXPECT_FALSE(whole.AllowsTagged("one"));
}

TEST(ArgumentRulesTest, GemmasValuesAreBound) {
  struct Case {
    const char *schema, *good, *bad;
  };
  const Case cases[] = {
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":2})", "[1,2]", "[]"},
      {R"({"type":"array","items":{"type":"integer"},"maxItems":2})", "[]", "[1,2,3]"},
      {R"({"enum":["a",1,null]})", "null", "2"},
      {R"({"type":["string","null"],"enum":["a",null,3]})", "<|\"|>a<|\"|>", "3"},
      {R"({"type":["integer","string"],"minimum":5,"minLength":2})", "5", "4"},
      {R"({"minimum":5})", "7", "4"},
      {R"({"type":"object","required":["a"]})", "{a:1}", "{b:1}"},
      {R"({"type":"object","additionalProperties":false})", "{}", "{b:1}"},
      {R"({"$ref":"#/properties/x/$defs/l","$defs":{"l":{"type":"object","properties":{
          "next":{"$ref":"#/properties/x/$defs/l"}}}}})",
       "{next:{next:{}}}", "{next:1}"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.schema);
    const Arguments arguments(Gemma(), OfX(test.schema));
    EXPECT_TRUE(arguments.Allows(std::string("x:") + test.good)) << arguments.error();
    EXPECT_FALSE(arguments.Allows(std::string("x:") + test.bad));
  }
}

TEST(ArgumentRulesTest, WhatNoValueCanBeIsLeftOutWhereItMay) {
  for (const char* none :
       {R"({"enum":[]})", R"({"type":"string","enum":[1,2]})", "false",
        R"({"type":"string","const":1})", R"({"type":"integer","minimum":5,"maximum":3})",
        R"({"type":"string","minLength":3,"maxLength":2})"}) {
    for (const bool strict : {true, false}) {
      SCOPED_TRACE(none);
      const std::string parameters =
          R"({"properties":{"a":{"type":"integer"},"x":)" + std::string(none) + "}}";
      const Arguments tagged(Tagged(), parameters, strict), gemma(Gemma(), parameters, strict);
      EXPECT_TRUE(tagged.Allows("<parameter=a>\n1\n</parameter>\n")) << tagged.error();
      EXPECT_FALSE(tagged.AllowsTagged("1") || tagged.AllowsTagged("ab"));
      EXPECT_TRUE(gemma.Allows("a:1")) << gemma.error();
      EXPECT_FALSE(gemma.Allows("a:1,x:1") || gemma.Allows("x:1"));
      EXPECT_EQ(tagged.dropped(), std::vector<std::string>{});
      EXPECT_EQ(gemma.dropped(), std::vector<std::string>{});
    }
  }
}

TEST(ArgumentRulesTest, WhatNoValueCanBeButMustIsNamed) {
  const char kNone[] = R"({"type":"string","minLength":3,"maxLength":2})";
  EXPECT_THAT(Arguments(Tagged(), OfX(kNone)).error(),
              HasSubstr("/properties/x/maxLength: is below"));
  const Arguments tagged(Tagged(), OfX(kNone), false);
  EXPECT_TRUE(tagged.AllowsTagged("abc")) << tagged.error();
  EXPECT_FALSE(tagged.AllowsTagged("ab"));
  EXPECT_THAT(tagged.dropped(), testing::ElementsAre("tools[0]/properties/x: maxLength"));
}

TEST(ArgumentRulesTest, IntegersBeyond64BitsKeepTheirDigits) {
  for (const char* schema :
       {R"({"const":18446744073709551617})", R"({"enum":[18446744073709551617,"a"]})",
        R"({"type":"integer","minimum":18446744073709551617,"maximum":18446744073709551619})"}) {
    SCOPED_TRACE(schema);
    const Arguments tagged(Tagged(), OfX(schema)), gemma(Gemma(), OfX(schema));
    EXPECT_TRUE(tagged.AllowsTagged("18446744073709551617")) << tagged.error();
    EXPECT_FALSE(tagged.AllowsTagged("18446744073709551616"));
    EXPECT_TRUE(gemma.Allows("x:18446744073709551617")) << gemma.error();
    EXPECT_FALSE(gemma.Allows("x:18446744073709551616"));
  }
}

TEST(ArgumentRulesTest, AFunctionWithoutParametersHasNoArguments) {
  for (const char* none : {"null", "{}", R"({"type":"object","properties":{}})",
                           R"({"type":"object","properties":{},"required":[],"title":"T"})",
                           R"({"type":"object","properties":{},"additionalProperties":false})"}) {
    SCOPED_TRACE(none);
    const Arguments json(CallForm(), none), tagged(Tagged(), none), gemma(Gemma(), none);
    EXPECT_TRUE(json.Allows("{}")) << json.error();
    EXPECT_FALSE(json.Allows(R"({"a":1})"));
    EXPECT_TRUE(tagged.Allows("")) << tagged.error();
    EXPECT_FALSE(tagged.AllowsTagged("a"));
    EXPECT_TRUE(gemma.Allows("")) << gemma.error();
    EXPECT_FALSE(gemma.Allows("x:1"));
  }
  for (const char* any : {R"({"type":"object"})",
                          R"({"type":"object","properties":{},"additionalProperties":true})"}) {
    SCOPED_TRACE(any);
    EXPECT_TRUE(Arguments(CallForm(), any).Allows(R"({"a":1})"));
    EXPECT_TRUE(Arguments(Tagged(), any).AllowsTagged("a"));
  }
}

TEST(ArgumentRulesTest, WhatIsLostIsNamed) {
  struct Case {
    const char* schema;
    std::vector<std::string> tagged, gemma;
  };
  const std::string at = "tools[0]";
  const Case cases[] = {
      {R"({"properties":{"x":{"type":"string","pattern":"(a)\\1","minLength":1}}})",
       {at + "/properties/x: pattern"},
       {at + "/properties/x: pattern"}},
      {R"({"properties":{"x":{"type":"string"}},"anyOf":[{"required":["x"]}],"minProperties":1})",
       {at + ": anyOf", at + ": minProperties"},
       {at + ": anyOf", at + ": minProperties"}},
      {R"({"properties":{"x":{"type":"array","uniqueItems":true,"items":{"type":"object",
          "properties":{"y":{"type":"integer"}},"maxProperties":1}}}})",
       {at + "/properties/x: uniqueItems"},
       {at + "/properties/x: uniqueItems", at + "/properties/x/items: maxProperties"}},
      {R"({"additionalProperties":{"type":"integer"}})",
       {at + ": additionalProperties"},
       {at + ": additionalProperties"}},
      {R"({"properties":{"x":{"oneOf":[{"type":"integer"},{"type":"null"}]}}})",
       {},
       {at + "/properties/x: oneOf"}},
      {R"({"properties":{"x":{"allOf":[{"type":"integer"}]}},"x-note":1,"title":"T"})",
       {},
       {at + "/properties/x: allOf"}},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.schema);
    const auto check = [&](const CallForm& form, const std::vector<std::string>& lost) {
      EXPECT_THAT(Arguments(form, test.schema, false).dropped(),
                  testing::UnorderedElementsAreArray(lost));
      const std::string error = Arguments(form, test.schema, true).error();
      if (lost.empty()) {
        EXPECT_EQ(error, "");
      } else {
        EXPECT_THAT(error, HasSubstr(at));
      }
    };
    check(Tagged(), test.tagged);
    check(Gemma(), test.gemma);
  }
}

}  // namespace
}  // namespace lockstep
