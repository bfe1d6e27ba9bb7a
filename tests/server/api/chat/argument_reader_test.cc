#include "server/api/chat/argument_reader.h"

#include <gtest/gtest.h>

#include <memory>

namespace lockstep {
namespace {

TEST(ArgumentReader, ValuesOfOtherLanguages) {
  const std::pair<const char*, const char*> cases[] = {
      {"1", "1"},
      {" -2.5e3 ", "-2.5e3"},
      {"true", "true"},
      {"True", "true"},
      {"None", "null"},
      {"'it'", "\"it\""},
      {R"('a\'b\n"c"')", R"("a'b\n\"c\"")"},
      {R"("a\u00e9\uD83D\uDE00")", R"("a\u00e9\uD83D\uDE00")"},
      {R"('\xe9\ud83d\ude00')", "\"é😀\""},
      // A backslash that begins no escape is one, as in Python.
      {R"('\d+\.\w')", R"("\\d+\\.\\w")"},
      {R"('C:\users\me\xyz')", R"("C:\\users\\me\\xyz")"},
      {R"('\u12\U0001f600\ud83d\u0041\/')", "\"\\\\u12😀\uFFFDA\\\\/\""},
      {R"(["a\/b", 'c'])", R"(["a/b", "c"])"},
      {"[1, 'a', [True]]", R"([1, "a", [true]])"},
      {"{'a': 1, \"b\": None}", R"({"a": 1, "b": null})"},
      {"<|\"|>a \"b\"\n<|\"|>", R"("a \"b\"\n")"},
      {"{a:<|\"|>x,y<|\"|>,b:[<|\"|>z<|\"|>,2]}", R"({"a": "x,y", "b": ["z", 2]})"},
      {"plain text", "\"plain text\""},
      {"[1, 2", "\"[1, 2\""},
      {"", "\"\""},
  };
  for (const auto& [text, json] : cases) EXPECT_EQ(ValueToJson(text), json) << text;
}

CallForm FormOf(CallForm::Arguments arguments) {
  CallForm form;
  form.arguments = arguments;
  if (arguments == CallForm::Arguments::kTagged) {
    form.key_before = "<k>";
    form.key_after = form.key_after_other = "<v>";
    form.value_after = "</v>\n";
    form.after = "</f>";
  }
  return form;
}

// However the text is cut, the pieces add up to the same, and what is behind stays.
TEST(ArgumentReader, EveryFormBecomesJson) {
  using Arguments = CallForm::Arguments;
  const struct {
    Arguments arguments;
    std::string text, json, rest;
  } cases[] = {
      {Arguments::kJson, R"({"a": "}\"{", "b": [{}]}, {)", R"({"a": "}\"{", "b": [{}]})", ", {"},
      {Arguments::kTagged, "<k>s<v>a \"<\"\n</v</v>\n<k>n<v>[1, 2]</v>\n</f>!",
       R"({"s": "a \"<\"\n</v", "n": [1, 2]})", "</f>!"},
      {Arguments::kTagged, "</f>", "{}", "</f>"},
      {Arguments::kTagged, "<k>s<v>5</v>\n<k>t<v>5</v>\n</f>", R"({"s": "5", "t": 5})", "</f>"},
      {Arguments::kPythonic, "a=1, b='x, (y)', c=[1, 2])]",
       "{\"a\": 1, \"b\": \"x, (y)\", \"c\": [1, 2]}", ")]"},
      {Arguments::kPythonic, ")", "{}", ")"},
      {Arguments::kGemma, "a:<|\"|>}, {<|\"|>,b:{c:true}}<", R"({"a": "}, {", "b": {"c": true}})",
       "}<"},
      {Arguments::kGemma, "}", "{}", "}"},
  };
  for (const auto& c : cases) {
    for (const size_t piece : {1, 2, 3, 5, 100}) {
      SCOPED_TRACE(c.text + " " + std::to_string(piece));
      const CallForm form = FormOf(c.arguments);
      ArgumentReader reader(form, {"s"});
      std::string held, json;
      bool whole = false;
      for (size_t i = 0; i < c.text.size(); i += piece) {
        held += c.text.substr(i, piece);
        if (!whole) whole = reader.Read(&held, &json);
      }
      EXPECT_TRUE(whole);
      EXPECT_EQ(json, c.json);
      EXPECT_EQ(held, c.rest);
    }
  }
}

// A string in tags may be a whole file, and is not kept until its end.
TEST(ArgumentReader, StringsInTagsAreStreamed) {
  const CallForm form = FormOf(CallForm::Arguments::kTagged);
  ArgumentReader reader(form, {"s"});
  std::string held = "<k>s<v>line one\nline", json;
  EXPECT_FALSE(reader.Read(&held, &json));
  EXPECT_EQ(json, R"({"s": "line one\nline)");
}

}  // namespace
}  // namespace lockstep
