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

// The model gives the same bits each time, so that a chance that differs was made up.
TEST(AnswerDifferenceTest, TokensAndLogprobsAreCompared) {
  constexpr char kMade[] =
      R"({"created":1,"logprobs":{"content":[{"token":"a","logprob":-0.1,"bytes":[97]},)"
      R"({"token":"b","logprob":-9999.0,"bytes":[98]}]},"token_ids":[7,8],)"
      R"("prompt_logprobs":[null,{"7":{"logprob":-1.5,"rank":2}}],"tokens":[{"id":7}]})";
  const auto differs = [&](const char* given) { return Where(given, kMade); };
  EXPECT_EQ(differs(kMade), "");
  EXPECT_EQ(differs(R"({"logprobs":{"content":[{"logprob":-0.2},{}]}})"),
            "logprobs.content[0].logprob: -0.2|-0.1");
  EXPECT_EQ(differs(R"({"logprobs":{"content":[{"token":"c"},{}]}})"),
            "logprobs.content[0].token: c|a");
  EXPECT_EQ(differs(R"({"logprobs":{"content":[{"bytes":[99]},{}]}})"),
            "logprobs.content[0].bytes[0]: 99|97");
  EXPECT_EQ(differs(R"({"token_ids":[7]})"), "token_ids[1]: |8");
  EXPECT_EQ(differs(R"({"token_ids":[7,8,9]})"), "token_ids[2]: 9|");
  EXPECT_EQ(differs(R"({"token_ids":[null,8]})"), "token_ids[0]: null|7");
  EXPECT_EQ(differs(R"({"tokens":[{"id":8}]})"), "tokens[0].id: 8|7");
  EXPECT_EQ(differs(R"({"prompt_logprobs":[null,{"7":{"rank":1}}]})"),
            "prompt_logprobs[1].7.rank: 1|2");
  EXPECT_EQ(differs(R"({"prompt_logprobs":[null,{"8":{"rank":1}}]})"),
            "prompt_logprobs[1].8.rank: 1|");
  EXPECT_EQ(Where(R"({"logprobs":[{"logprob":-1}]})", R"({"logprobs":null})"),
            "logprobs[0].logprob: -1|");
  EXPECT_TRUE(CompareAnswers(Json{{"logprob", -1}}, Json{{"logprob", -2}}).difference->number);
}

// What its client has may be a float again, or another number that reads as the same one.
TEST(AnswerDifferenceTest, ALogprobIsTheFloatThatItNames) {
  constexpr char kMade[] = R"({"logprobs":{"content":[{"logprob":-0.1},{"logprob":-9999.0}]}})";
  EXPECT_EQ(
      Where(R"({"logprobs":{"content":[{"logprob":-0.10000000149011612},{"logprob":-9999}]}})",
            kMade),
      "");
  EXPECT_EQ(Where(R"({"logprobs":{"content":[{"logprob":-0.1000001},{"logprob":-9999}]}})", kMade),
            "logprobs.content[0].logprob: -0.1000001|-0.1");
  EXPECT_EQ(Where(R"({"logprobs":{"content":[{"logprob":-1e300},{"logprob":-9999}]}})", kMade),
            "logprobs.content[0].logprob: -1e+300|-0.1");
  // What was left out says nothing.
  for (const char* given : {R"({"logprobs":null})", R"({"logprobs":{"content":[]}})",
                            R"({"logprobs":{"content":[{"logprob":null},{}]}})", "{}"}) {
    EXPECT_EQ(Where(given, kMade), "") << given;
  }
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
