#include "server/api/anthropic/content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ContentTest : public testing::Test {
 protected:
  // The messages of a request's body, or what is wrong with it.
  std::string Read(const std::string& body) {
    const Json json = ParseStrictObject(body).value();
    context_.ignored.clear();
    FieldReader fields(json);
    content_ = ReadMessageContent(fields, context_);
    const Status status = fields.Finish(context_.unknown());
    return status ? Dump(content_.messages) : status.error().message;
  }
  // Of one user's message.
  std::string ReadBlocks(const std::string& blocks, const std::string& role = "user") {
    return Read(R"({"messages":[{"role":")" + role + R"(","content":[)" + blocks + "]}]}");
  }

  FakeService service_;
  const ModelNames names_{};
  ReadContext context_{service_, names_, true, {}};
  MessageContent content_;
};

TEST_F(ContentTest, TextsOfATurnAreOneHoweverTheyCome) {
  const char* const kExpected =
      R"([{"role":"system","content":"Be brief.\nBe kind."},{"role":"user","content":"a\nb"},)"
      R"({"role":"assistant","content":"c"},{"role":"user","content":"d"}])";
  EXPECT_EQ(Read(R"({"system":"Be brief.\nBe kind.","messages":[
                     {"role":"user","content":"a\nb"},{"role":"assistant","content":"c"},
                     {"role":"user","content":"d"}]})"),
            kExpected);
  EXPECT_EQ(Read(R"({"system":["Be brief.",{"text":"Be kind."}],"messages":[
                     {"role":"user","content":["a",{"text":"b"}]},
                     {"role":"assistant","content":["c"]},{"role":"user","content":"d"}]})"),
            kExpected);
  EXPECT_EQ(
      Read(R"({"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}},
                               {"type":"text","text":"Be kind."}],
                     "messages":[
                     {"role":"user","content":[{"type":"text","text":"a"}]},
                     {"role":"user","content":[{"type":"text","text":"b"}]},
                     {"role":"assistant","content":[{"type":"text","text":"c","citations":null}]},
                     {"role":"user","content":"d"}]})"),
      kExpected);
  EXPECT_TRUE(context_.ignored.empty());
}

// Claude Code sends it as a list in its first request, and as a string from then on.
TEST_F(ContentTest, ASystemMessageIsTheSameAsListAndAsString) {
  const char* const kExpected =
      R"([{"role":"user","content":"hi"},{"role":"system","content":"now"}])";
  EXPECT_EQ(Read(R"({"messages":[{"role":"user","content":"hi"},{"role":"system","content":
                     [{"type":"text","text":"now","cache_control":{"type":"ephemeral"}}]}]})"),
            kExpected);
  EXPECT_EQ(Read(R"({"messages":[{"role":"user","content":"hi"},
                                 {"role":"system","content":"now"}]})"),
            kExpected);
}

TEST_F(ContentTest, TheBillingHeaderIsLeftOut) {
  const char* const kUser = R"("messages":[{"role":"user","content":"x"}]})";
  const char* const kExpected =
      R"([{"role":"system","content":"s"},{"role":"user","content":"x"}])";
  for (const char* system :
       {R"([{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.0.abc; cch=1f3;"},
            {"type":"text","text":"s"}])",
        R"("x-anthropic-billing-header: cc_version=2.1.0.abc;\ns")",
        R"([{"type":"text","text":"s"}])"}) {
    EXPECT_EQ(Read(std::string(R"({"system":)") + system + "," + kUser), kExpected) << system;
  }
  EXPECT_EQ(Read(std::string(R"({"system":"x-anthropic-billing-header: cch=1;",)") + kUser),
            R"([{"role":"user","content":"x"}])");
  // Nobody else's text is touched.
  EXPECT_THAT(ReadBlocks(R"({"type":"text","text":"x-anthropic-billing-header: 1"})"),
              HasSubstr("billing"));
}

TEST_F(ContentTest, ACallAndItsResultAreMessagesOfTheirOwn) {
  EXPECT_EQ(Read(R"({"messages":[
        {"role":"user","content":"go"},
        {"role":"assistant","content":[
          {"type":"thinking","thinking":"hm","signature":"s"},
          {"type":"text","text":"running"},
          {"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls","n":12345678901234567890123}},
          {"type":"tool_use","id":"toolu_2","name":"Read","input":{},"caller":{"type":"direct"}}]},
        {"role":"user","content":[
          {"tool_use_id":"toolu_1","type":"tool_result","content":"a.txt","is_error":false,
           "cache_control":{"type":"ephemeral"}},
          {"type":"tool_result","tool_use_id":"toolu_2","is_error":true,
           "content":[{"type":"text","text":"no"},{"type":"text","text":"file"}]},
          {"type":"text","text":"and?"}]}]})"),
            R"([{"role":"user","content":"go"},)"
            R"({"role":"assistant","content":"running","reasoning_content":"hm","tool_calls":[)"
            R"({"id":"toolu_1","type":"function","function":{"name":"Bash","arguments":)"
            R"({"command":"ls","n":12345678901234567890123}}},)"
            R"({"id":"toolu_2","type":"function","function":{"name":"Read","arguments":{}}}]},)"
            R"({"role":"tool","content":"a.txt","tool_call_id":"toolu_1","name":"Bash"},)"
            R"({"role":"tool","content":"Error: no\nfile","tool_call_id":"toolu_2","name":"Read"},)"
            R"({"role":"user","content":"and?"}])");
  EXPECT_THAT(content_.loaded_tools, ElementsAre("Bash", "Read"));
}

TEST_F(ContentTest, AResultMayBeEmptyOrSayByItselfThatItIsAnError) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"tool_result","tool_use_id":"t"})", ""},
      {R"({"type":"tool_result","tool_use_id":"t","content":[]})", ""},
      {R"({"type":"tool_result","tool_use_id":"t","is_error":true})", "Error"},
      {R"({"type":"tool_result","tool_use_id":"t","is_error":true,"content":"Error 5"})",
       "Error 5"},
  };
  for (const auto& [block, text] : cases) {
    EXPECT_EQ(ReadBlocks(block),
              R"([{"role":"tool","content":")" + std::string(text) + R"(","tool_call_id":"t"}])");
  }
}

TEST_F(ContentTest, CallsAloneHaveNoText) {
  EXPECT_THAT(ReadBlocks(R"({"type":"tool_use","id":"1","name":"f","input":{}})", "assistant"),
              HasSubstr(R"("content":null,"tool_calls")"));
  EXPECT_EQ(ReadBlocks(R"({"type":"thinking","thinking":"hm","signature":""})", "assistant"),
            R"([{"role":"assistant","content":"","reasoning_content":"hm"}])");
  EXPECT_EQ(Read(R"({"messages":[{"role":"user","content":""}]})"),
            R"([{"role":"user","content":""}])");
}

TEST_F(ContentTest, AThoughtThatWasNotShownComesBackInItsSignature) {
  const std::string signature = ThoughtSignature("let me see", true);
  EXPECT_EQ(ReadBlocks(R"({"type":"thinking","thinking":"","signature":)" + DumpString(signature) +
                           R"(},{"type":"text","text":"ok"})",
                       "assistant"),
            R"([{"role":"assistant","content":"ok","reasoning_content":"let me see"}])");
  // Another server's signature says nothing here, nor does ours of a thought that is there.
  for (const std::string& other : {std::string("EqQB"), ThoughtSignature("let me see", false)}) {
    EXPECT_EQ(ReadBlocks(R"({"type":"thinking","thinking":"","signature":")" + other +
                             R"("},{"type":"text","text":"ok"})",
                         "assistant"),
              R"([{"role":"assistant","content":"ok"}])");
  }
}

TEST_F(ContentTest, WhatIsTextInAnotherFormIsRead) {
  EXPECT_EQ(ReadBlocks(R"({"type":"search_result","title":"T","source":"S",
                           "content":[{"type":"text","text":"found"}],"citations":{"enabled":true}})"),
            R"([{"role":"user","content":"T\nS\nfound"}])");
  EXPECT_EQ(ReadBlocks(R"({"type":"document","title":"T","context":null,
                           "source":{"type":"text","media_type":"text/plain","data":"words"}})"),
            R"([{"role":"user","content":"T\nwords"}])");
  EXPECT_EQ(ReadBlocks(R"({"type":"document","source":{"type":"content","content":"words"}})"),
            R"([{"role":"user","content":"words"}])");
}

TEST_F(ContentTest, WhatTheModelCannotReadIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"image","source":{"type":"url","url":"u"}})",
       "messages[0].content[0].type is \"image\", but the model reads text only"},
      {R"({"type":"document","source":{"type":"base64","media_type":"application/pdf","data":""}})",
       "messages[0].content[0].source.type of a document is \"base64\", but"},
      {R"({"type":"tool_result","tool_use_id":"t","content":[{"type":"image"}]})",
       "messages[0].content[0].content[0].type is \"image\""},
      {R"({"type":"container_upload","file_id":"f"})", "container_upload"},
      {R"({"words":"x"})", "messages[0].content[0].type is missing"},
      {"1", "messages[0].content[0] must be an object with a type"},
      {R"({"type":"text"})", "messages[0].content[0].text is missing"},
      {R"({"type":"tool_result"})", "tool_use_id is missing"},
  };
  for (const auto& [block, says] : cases) EXPECT_THAT(ReadBlocks(block), HasSubstr(says)) << block;
  EXPECT_THAT(ReadBlocks(R"({"type":"image"})", "assistant"), HasSubstr("is \"image\""));
  EXPECT_THAT(Read(R"({"messages":[{"role":"tool","content":"x"}]})"),
              HasSubstr("messages[0].role must be user, assistant or system"));
  EXPECT_THAT(Read(R"({"messages":[{"role":"user"}]})"), HasSubstr("messages[0].content must be"));
  EXPECT_THAT(Read(R"({"messages":[]})"), HasSubstr("at least one message"));
  EXPECT_THAT(ReadBlocks(R"({"type":"redacted_thinking","data":"x"})", "assistant"),
              HasSubstr("messages have nothing for a model"));
}

TEST_F(ContentTest, WhatOtherServersLeftIsNamed) {
  EXPECT_EQ(ReadBlocks(R"({"type":"server_tool_use","id":"s","name":"web_search","input":{}},
                          {"type":"web_search_tool_result","tool_use_id":"s","content":[]},
                          {"type":"redacted_thinking","data":"xx"},
                          {"type":"text","text":"so"})",
                       "assistant"),
            R"([{"role":"assistant","content":"so"}])");
  EXPECT_THAT(context_.ignored, ElementsAre("messages[0].content[0]: server_tool_use",
                                            "messages[0].content[1]: web_search_tool_result",
                                            "messages[0].content[2]: redacted_thinking"));
}

TEST_F(ContentTest, ToolsThatAreReferredToAreLoaded) {
  EXPECT_THAT(ReadBlocks(R"({"type":"tool_result","tool_use_id":"t",
                             "content":[{"type":"tool_reference","tool_name":"Found"}]})"),
              HasSubstr(R"("content":"Found")"));
  EXPECT_THAT(content_.loaded_tools, ElementsAre("Found"));
  EXPECT_EQ(ReadBlocks(R"({"type":"tool_addition","tool":{"type":"tool_reference","name":"Added"}},
                          {"type":"text","text":"t"})",
                       "system"),
            R"([{"role":"system","content":"t"}])");
  EXPECT_THAT(content_.loaded_tools, ElementsAre("Added"));
}

}  // namespace
}  // namespace lockstep
