#include "core/grammar/grammar.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/grammar_match.h"
#include "tests/support/repeated.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view gbnf) {
  const auto grammar = ParseGbnf(gbnf);
  return grammar ? "" : grammar.error().message;
}

TEST(GrammarTest, MatchesWhatTheTextSays) {
  const struct {
    const char* gbnf;
    std::vector<std::string> accepted, refused;
  } kCases[] = {
      {"root ::= \"a\" \"bc\" | \"d\"", {"abc", "d"}, {"", "ab", "abcd", "a", "dd"}},
      {"root ::=\n  \"a\" |\n  \"b\" # one or the other\n\n", {"a", "b"}, {"c", "ab"}},
      {"root ::= \"a\"\n  | \"b\"\n  | c\nc ::= \"c\"", {"a", "b", "c"}, {"d"}},
      {"root ::= \"\" | \"x\"", {"", "x"}, {"xx"}},
      {"root ::=\r\n \"a\"\r\n\r\n# end", {"a"}, {""}},
      {"root ::= ([a-c] [^a-c\\n])*", {"", "ax", "b\u00e9c!"}, {"aa", "x", "a\n", "a"}},
      {"root ::= [-a] [a-] [\\]x] [\\x41-\\u0043]", {"--]A", "aaxC"}, {"b-]A", "a-]D"}},
      {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\\\"\\[\\]\"",
       {"A\u00e9\U0001F600\n\t\r\\\"[]"},
       {"A"}},
      {"root ::= [^\\x00-\\u00ff]", {"\u0100", "\u20ac", "\U0010FFFF"}, {"\u00ff", "a", "\u0100a"}},
      {"root ::= [\u00e9-\u20ac\U0001F600]",
       {"\u00e9", "\u07ff", "\u0800", "\u20ac", "\U0001F600"},
       {"\u00e8", "\u20ad", "\U0001F601", "\xC3"}},
      {"root ::= . .",
       {"a\n", "\u00e9\U0001F600", "\u20ac\""},
       {"a", "abc", "\xC3\x28", "\xFF\xFF"}},
      {"root ::= .", {}, {"\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80", "\xE0\x80\x80"}},
      {"root ::= \"ab\"*", {"", "ab", "abab"}, {"a", "aba"}},
      {"root ::= \"ab\" + ", {"ab", "abab"}, {"", "aba"}},
      {"root ::= x?\nx ::= \"y\"", {"", "y"}, {"yy"}},
      {"root ::= [ab]{2}", {"ab", "ba"}, {"a", "aba"}},
      {"root ::= [ab]{2,}", {"ab", "baaaa"}, {"a", ""}},
      {"root ::= [ab]{1,}", {"a", "baaaa"}, {""}},
      {"root ::= (\"a\" | \"bc\"){ 1 , 3 }", {"a", "bc", "abca"}, {"", "aaaa", "b"}},
      {"root ::= \"a\"{0} \"b\"{0,1}", {"", "b"}, {"a", "bb"}},
      {"root ::= (\"a\"?){2,3}*", {"", "a", "aaaaaaa"}, {"b"}},
      {"root ::= (\"\" )* \"a\" (\"\"+ | \"b\"*)+", {"a", "abbb"}, {"", "b"}},
      {"root ::= (((\"\")*)*)*", {""}, {"a"}},
      {"root ::= \"(\" root \")\" | \"x\"", {"x", "((x))"}, {"((x)", "(x))", ""}},
      {"root ::= (\"(\" root \")\")?", {"", "()", "((()))"}, {"(", "())"}},
      {"root ::= e\ne ::= t (\"+\" t)*\nt ::= [0-9]+ | \"(\" e \")\"",
       {"1", "1+2+33", "(1+(2))+3"},
       {"", "1+", "(1", "1++2"}},
      // Readings that are many, and rules that may match nothing in front of others.
      {"root ::= s\ns ::= \"a\" s \"b\" | \"a\" s \"c\" | ws x\nx ::= \"x\" | ws\nws ::= \" \"*",
       {"axb", "aaxbc", "aa  bc", "", "   x", "aaaacbcb"},
       {"axbb", "ab x", "b"}},
      {"root ::= a b a\na ::= \"x\"? b\nb ::= [yz]? ",
       {"", "xyz", "xyzxz", "yzy", "xx"},
       {"yzyz", "xyx x", "xxx"}},
      {"root ::= item list\nlist ::= (\",\" item list)? \nitem ::= \"i\" list2\nlist2 ::= \"!\" "
       "list2 "
       "| \"\"",
       {"i", "i!!,i,i!"},
       {"i,", ",i"}},
      {"my-rule_1 ::= \"a\"\nroot ::= my-rule_1 my-rule_1", {"aa"}, {"a"}},
      {"root ::= \"a\" | never\nnever ::= \"b\" never", {"a"}, {"b", "bb"}},
      {"root ::= [] | \"b\"", {"b"}, {"", "a"}},
  };
  for (const auto& test : kCases) {
    const auto grammar = ParseGbnf(test.gbnf);
    ASSERT_TRUE(grammar) << test.gbnf << ": " << grammar.error().message;
    for (const auto& text : test.accepted)
      EXPECT_TRUE(Matches(**grammar, text)) << test.gbnf << text;
    for (const auto& text : test.refused)
      EXPECT_FALSE(Matches(**grammar, text)) << test.gbnf << text;
  }
}

TEST(GrammarTest, RefusalsSayWhatIsWrongAndWhere) {
  const struct {
    std::string gbnf;
    const char* message;
  } kCases[] = {
      {"", "has no rule \"root\""},
      {"start ::= \"a\"", "has no rule \"root\""},
      {"root ::= \"a\"\nx = \"b\"", "line 2, column 3: \"::=\" is expected after \"x\""},
      {"root ::= a\nb ::= \"x\"", "line 1, column 10: the rule \"a\" is used here, but defined"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 5: the rule \"root\" is defined twice"},
      {"root ::= \"a", "a literal has no closing quote"},
      {"root ::= [a", "a class has no closing bracket"},
      {"root ::= [z-a]", "ends before it begins"},
      {"root ::= (\"a\"", "\")\" is expected"},
      {"root ::= \"a\" )", "the end of the rule is expected"},
      {"root ::= * \"a\"", "a literal, a class, a rule's name"},
      {"root ::= \"\\q\"", "an unknown escape"},
      {"root ::= \"\\x4\"", "2 hexadecimal digits"},
      {"root ::= \"\\uD800\"", "no character of Unicode"},
      {"root ::= \"\\U00110000\"", "no character of Unicode"},
      {"root ::= \"a\"{}", "a number is expected"},
      {"root ::= \"a\"{2,1}", "maximum is below its minimum"},
      {"root ::= \"a\"{2;3}", "\"}\" is expected"},
      {"root ::= <think>", "references to tokens"},
      {"root ::= !<[7]>", "references to tokens"},
      {"root ::= \"\xFF\"", "not valid UTF-8"},
      {"root ::= root \"a\" | \"b\"", "\"root\" is left-recursive"},
      {"root ::= x\nx ::= [a]? y\ny ::= x | \"b\"", "is left-recursive"},
      {"root ::= \"a\" (ws root){2} | \"b\"\nws ::= \" \"* ", ""},
      {"root ::= (ws root \"b\"){2} | \"c\"\nws ::= \" \"* ", "\"root\" is left-recursive"},
      {"root ::= root", "matches no text"},
      {"root ::= \"a\" root", "matches no text"},
      {"root ::= \"a\"{1000000}", ""},
      {"root ::= (\"a\"?){1000000}", "too large"},
      {"root ::= (\"a\"?){99999999999999999999}", "too large"},
      {"root ::= ((((\"a\"{900} \"b\"){900} \"c\"){900} [d]){900}[e]){900}", ""},
      {"root ::= " + std::string(60'000, '('), "nested more than 100 deep"},
      {"root ::= \"a\"" + std::string(40'000, '*'), "nested too deeply"},
      {"root ::= \"a\"" + std::string(40'000, '+'), "nested too deeply"},
      {"root ::= \"a\"" + std::string(40'000, '?'), "nested too deeply"},
      {"root ::= \"a\"" + Repeated("{1}", 40'000), "nested too deeply"},
      {"root ::= " + Repeated("(", 90) + "\"a\"" + Repeated("***)", 90) + "*****", ""},
      {"root ::= " + Repeated("(", 90) + "\"a\"" + Repeated("*****)", 90), "nested too deeply"},
      {"root ::= \"" + std::string(300'000, 'a') + "\"", "too large"},
      {"root ::= \"" + std::string(2'000'000, 'a') + "\"", "more than the 1048576 allowed"},
  };
  for (const auto& test : kCases) {
    const std::string error = ErrorOf(test.gbnf);
    EXPECT_THAT(error, HasSubstr(test.message)) << test.gbnf.substr(0, 100);
    EXPECT_EQ(error.empty(), *test.message == '\0') << test.gbnf.substr(0, 100) << error;
  }
}

TEST(GrammarTest, DeepAndAmbiguousTextsStayCheap) {
  // 2^n readings; nesting beyond what a machine's stack would take; a list that is no loop.
  const struct {
    const char* gbnf;
    std::string text;
  } kCases[] = {
      {"root ::= \"(\" a | \"(\" b | \"x\"\na ::= root \")\"\nb ::= root \")\"",
       std::string(3000, '(') + 'x' + std::string(3000, ')')},
      {"root ::= \"[\" root \"]\" | \"\"", std::string(30'000, '[') + std::string(30'000, ']')},
      {"root ::= \"a\" root | \"\"", std::string(100'000, 'a')},
      {"root ::= (\"a\" | \"a\" \"a\" | [a-b]*)*", std::string(5000, 'a')},
      {"root ::= s s s s\ns ::= (\"a\" s)? | \"a\"* ", std::string(3000, 'a')},
      {"root ::= ([ab]* \"a\" [ab]{40})*", std::string(3000, 'a')},
  };
  for (const auto& test : kCases) {
    EXPECT_TRUE(Matches(*ParseGbnf(test.gbnf).value(), test.text)) << test.gbnf;
  }
}

// What is written many times over costs no more than once.
TEST(GrammarTest, EqualAlternativesAreOne) {
  const auto states = [](const std::string& gbnf) { return ParseGbnf(gbnf).value()->states(); };
  EXPECT_EQ(states("root ::= (\"\"" + Repeated(" | \"\"", 60'000) + ")* \"a\""),
            states("root ::= (\"\")* \"a\""));
  EXPECT_EQ(states("root ::= \"ab\"" + Repeated(" | \"\" | \"ab\" | [c]", 10'000)),
            states("root ::= [c] | \"\" | \"ab\""));
  EXPECT_EQ(states("root ::= x | x\nx ::= \"a\""), states("root ::= x\nx ::= \"a\""));
}

// An item of one or two bytes, so that a text can be read with many counts: a length fits if one of
// them is within the bounds.
TEST(GrammarTest, RepetitionsCountExactly) {
  for (size_t least = 0; least <= 9; ++least) {
    for (size_t most = std::max<size_t>(least, 1); most <= 12; ++most) {
      const auto grammar =
          ParseGbnf(fmt::format("root ::= (\"a\" | \"aa\"){{{},{}}} [b]{{{},}} (\"c\"?){{{}}}",
                                least, most, least, most))
              .value();
      for (size_t a = 0; a <= 2 * most + 1; ++a) {
        const bool fits = a <= 2 * most && a >= least;
        for (const size_t b : {least - std::min<size_t>(least, 1), least, least + 20}) {
          for (const size_t c : {size_t{0}, most, most + 1}) {
            const std::string text =
                std::string(a, 'a') + std::string(b, 'b') + std::string(c, 'c');
            EXPECT_EQ(Matches(*grammar, text), fits && b >= least && c <= most)
                << least << " " << most << text;
          }
        }
      }
    }
  }
}

TEST(GrammarTest, ALongRepetitionIsNoLargerThanAShortOne) {
  EXPECT_LE(ParseGbnf("root ::= [a-z]{0,1000000}").value()->states(),
            ParseGbnf("root ::= [a-z]{0,3}").value()->states());
}

TEST(GrammarTest, LiteralsAndClassesAreQuoted) {
  const std::string text = "a\"\\\n\t\x01\x7F-^[]\u00e9";
  EXPECT_TRUE(Matches(*ParseGbnf("root ::= " + GbnfLiteral(text)).value(), text));
  std::string characters;
  for (uint32_t c = 1; c < 0x80; ++c) characters += GbnfClassChar(c);
  const auto grammar = ParseGbnf("root ::= [" + characters + "]").value();
  for (char c = 1; c > 0 && c < 0x7F; ++c) EXPECT_TRUE(Matches(*grammar, std::string(1, c)));
}

}  // namespace
}  // namespace lockstep
