// Which texts of two answers count.
#include "server/api/answer_difference.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

std::string Where(const char* given, const char* made) {
  const auto found = FirstDifference(*ParseStrictObject(given), *ParseStrictObject(made));
  return found ? found->where + ": " + found->given + "|" + found->made : "";
}

TEST(AnswerDifferenceTest, WhatIsAnotherOneEachTimeIsPassedOver) {
  EXPECT_EQ(
      Where(R"({"id":"a","created":1,"usage":{"x":"1"},"choices":[{"text":"t","extra":null}]})",
            R"({"id":"b","created":2,"choices":[{"text":"t","receipt":{}}]})"),
      "");
  EXPECT_EQ(Where(R"({"text":"t","refusal":""})", R"({"text":"t"})"), "");
}

TEST(AnswerDifferenceTest, TheFirstTextThatDiffersIsNamed) {
  EXPECT_EQ(Where(R"({"a":[{"b":"x"},{"b":"y"}]})", R"({"a":[{"b":"x"},{"b":"z"}]})"),
            "a[1].b: y|z");
  EXPECT_EQ(Where(R"({"a":["x","y"]})", R"({"a":["x"]})"), "a[1]: y|");
  EXPECT_EQ(Where(R"({"a":["x"]})", R"({"a":["x","y"]})"), "a[1]: |y");
  EXPECT_EQ(Where(R"({"a":"x"})", R"({"a":{"b":"x"}})"), R"(a: x|{"b":"x"})");
  EXPECT_EQ(Where(R"({"a":{"b":"x"}})", R"({"a":null})"), "a.b: x|");
}

// Else an answer from which calls were taken would pass, or one of which nothing is left.
TEST(AnswerDifferenceTest, WhatIsSaidIsNotLeftOut) {
  constexpr char kMade[] =
      R"({"choices":[{"message":{"role":"assistant","content":"t","tool_calls":[{"id":"1"}]}}]})";
  EXPECT_EQ(Where(R"({"choices":[{"message":{"content":"t","tool_calls":[{}]}}]})", kMade), "");
  EXPECT_EQ(Where(R"({"choices":[{"message":{"content":"t"}}]})", kMade),
            R"(choices[0].message.tool_calls: |[{"id":"1"}])");
  EXPECT_EQ(Where(R"({"choices":[{"message":{"content":null,"tool_calls":[{}]}}]})", kMade),
            "choices[0].message.content: |t");
  EXPECT_EQ(Where(R"({"choices":[{"message":{"content":1,"tool_calls":[{}]}}]})", kMade),
            "choices[0].message.content: 1|t");
  EXPECT_EQ(Where(R"({"choices":[{}]})", R"({"choices":[{"text":"t"}]})"), "choices[0].text: |t");
  EXPECT_EQ(Where(R"({"choices":{}})", R"({"choices":[{"text":"t"}]})"),
            R"(choices: {}|[{"text":"t"}])");
  EXPECT_EQ(Where(R"({"a":1})", R"({"a":1,"text":"","tool_calls":[]})"), "");
}

}  // namespace
}  // namespace lockstep
