// Which texts of two answers count.
#include "server/api/answer_difference.h"

#include <gmock/gmock.h>

namespace lockstep {
namespace {

std::string Where(const char* given, const char* made) {
  const auto found = CompareAnswers(*ParseStrictObject(given), *ParseStrictObject(made)).difference;
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

std::vector<std::string> LeftOut(const char* given, const char* made) {
  EXPECT_EQ(Where(given, made), "");
  return CompareAnswers(*ParseStrictObject(given), *ParseStrictObject(made)).left_out;
}

TEST(AnswerDifferenceTest, ThoughtsThatAreLeftOutAreNamed) {
  using testing::ElementsAre;
  using testing::IsEmpty;
  constexpr char kChat[] =
      R"({"choices":[{"message":{"content":"t","reasoning_content":"r","reasoning":"r"}}]})";
  for (const char* given :
       {R"({"choices":[{"message":{"content":"t"}}]})",
        R"({"choices":[{"message":{"content":"t","reasoning":null}}]})",
        R"({"choices":[{"message":{"content":"t","reasoning_content":""}}]})"}) {
    EXPECT_THAT(LeftOut(given, kChat), ElementsAre("choices[0].message.reasoning_content"));
  }
  // One of the two fields is enough.
  EXPECT_THAT(LeftOut(R"({"choices":[{"message":{"content":"t","reasoning":"r"}}]})", kChat),
              IsEmpty());
  EXPECT_EQ(Where(R"({"choices":[{"message":{"content":"t","reasoning":"x"}}]})", kChat),
            "choices[0].message.reasoning: x|r");
  EXPECT_THAT(
      LeftOut(R"({"message":{"content":"t"}})", R"({"message":{"content":"t","thinking":"r"}})"),
      ElementsAre("message.thinking"));
  // Where nothing was thought, nothing is missing.
  EXPECT_THAT(
      LeftOut(R"({"message":{"content":"t"}})", R"({"message":{"content":"t","thinking":""}})"),
      IsEmpty());
}

TEST(AnswerDifferenceTest, ThoughtsThatAreElementsOfAListAreNamed) {
  using testing::ElementsAre;
  constexpr char kMade[] =
      R"({"content":[{"type":"thinking","thinking":"r"},{"type":"text","text":"t"},)"
      R"({"type":"thinking","thinking":"s"}]})";
  EXPECT_THAT(LeftOut(R"({"content":[{"type":"text","text":"t"}]})", kMade),
              ElementsAre("content[0]", "content[2]"));
  EXPECT_THAT(LeftOut(R"({"content":[{"type":"thinking","thinking":"r"},)"
                      R"({"type":"text","text":"t"}]})",
                      kMade),
              ElementsAre("content[2]"));
  EXPECT_THAT(LeftOut(R"({"content":[{"type":"thinking","thinking":""},)"
                      R"({"type":"text","text":"t"}]})",
                      kMade),
              ElementsAre("content[0].thinking", "content[2]"));
  EXPECT_EQ(Where(R"({"content":[{"type":"thinking","thinking":"x"},{"type":"text","text":"t"}]})",
                  kMade),
            "content[0].thinking: x|r");
  EXPECT_EQ(Where(R"({"content":[{"type":"text","text":"u"}]})", kMade), "content[0].text: u|t");
  EXPECT_EQ(Where(R"({"content":[{"type":"thinking","thinking":"r"}]})", kMade),
            R"(content[1]: |{"type":"text","text":"t"})");
}

}  // namespace
}  // namespace lockstep
