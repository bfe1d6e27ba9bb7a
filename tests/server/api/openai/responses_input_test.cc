// Items as messages, seen in the prompt that a template makes of them.
#include "server/api/openai/responses_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class ResponsesInputTest : public ApiFixture {
 protected:
  ResponsesInputTest() : ApiFixture("x", "{% for m in messages %}{{ m | tojson }}\n{% endfor %}") {}

  HttpReply Post(const std::string& input, const std::string& fields = "") {
    return PostJson(router_, "/v1/responses", "{\"input\":" + input + fields + "}");
  }
  // The messages, one a line.
  std::string Messages(const std::string& input, const std::string& fields = "") {
    const HttpReply reply = Post(input, fields);
    ignored_ = Ignored(reply);
    return LastPrompt();
  }

  std::string ignored_;  // of the last one
};

TEST_F(ResponsesInputTest, MessagesComeInManyForms) {
  const std::string user = "{\"role\": \"user\", \"content\": \"Hi\"}\n";
  EXPECT_EQ(Messages("\"Hi\""), user);
  for (const char* item : {
           R"({"role":"user","content":"Hi"})",
           R"({"type":null,"role":"user","content":"Hi"})",
           R"({"type":"message","id":"msg_1","role":"user","status":"completed","content":"Hi"})",
           R"({"role":"user","content":[{"type":"input_text","text":"Hi"}]})",
           R"({"role":"user","content":[{"type":"text","text":"Hi"}]})",
       }) {
    EXPECT_EQ(Messages("[" + std::string(item) + "]"), user) << item;
    EXPECT_EQ(ignored_, "") << item;
  }
  EXPECT_EQ(Messages(R"([{"role":"user","content":[{"type":"input_text","text":"a"},
      {"type":"input_text","text":"b"}]},{"type":"message","role":"assistant","phase":"commentary",
      "content":[{"type":"output_text","text":"c","annotations":[],"logprobs":[]}]},
      {"role":"assistant","content":[{"type":"refusal","refusal":"No."}]},
      {"role":"system","content":"s"},{"role":"developer","content":"d"}])"),
            "{\"role\": \"user\", \"content\": \"a\\nb\"}\n"
            "{\"role\": \"assistant\", \"content\": \"c\"}\n"
            "{\"role\": \"assistant\", \"content\": \"No.\"}\n"
            "{\"role\": \"system\", \"content\": \"s\"}\n"
            "{\"role\": \"system\", \"content\": \"d\"}\n");
}

TEST_F(ResponsesInputTest, InstructionsComeFirst) {
  EXPECT_EQ(Messages("\"Hi\"", R"(,"instructions":"Be brief.")"),
            "{\"role\": \"system\", \"content\": \"Be brief.\"}\n"
            "{\"role\": \"user\", \"content\": \"Hi\"}\n");
  EXPECT_EQ(Messages("\"Hi\"", R"(,"instructions":"")"),
            "{\"role\": \"user\", \"content\": \"Hi\"}\n");
}

TEST_F(ResponsesInputTest, TextsNeedNoType) {
  EXPECT_EQ(
      Messages(R"([{"role":"user","content":["a",{"text":"b"},{"type":"text","text":"c"}]}])"),
      "{\"role\": \"user\", \"content\": \"a\\nb\\nc\"}\n");
}

TEST_F(ResponsesInputTest, NothingIsAnEmptyMessage) {
  const std::string nothing = "{\"role\": \"user\", \"content\": \"\"}\n";
  EXPECT_EQ(Messages("[]", R"(,"max_output_tokens":1)"), nothing);
  EXPECT_EQ(Messages("\"\"", R"(,"max_output_tokens":1)"), nothing);
  EXPECT_EQ(Messages("[]", R"(,"instructions":"a")"),
            "{\"role\": \"system\", \"content\": \"a\"}\n" + nothing);
}

// The parts of an answer come back as items, and become the one message that they were.
TEST_F(ResponsesInputTest, AnAnswerIsOneMessage) {
  EXPECT_EQ(
      Messages(R"([{"role":"user","content":"q"},
          {"type":"reasoning","id":"rs_1","summary":[],"status":"completed",
           "content":[{"type":"reasoning_text","text":"hm"}]},
          {"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]},
          {"type":"function_call","id":"fc_1","status":"completed","call_id":"c1","name":"f",
           "arguments":"{\"x\": 1}"},
          {"type":"function_call","call_id":"c2","name":"g","arguments":""},
          {"type":"function_call_output","id":"fco_1","call_id":"c1","output":"one"},
          {"type":"function_call_output","call_id":"c2","output":[
           {"type":"input_text","text":"two"},{"type":"input_text","text":"three"}]},
          {"type":"reasoning","summary":[{"type":"summary_text","text":"so"}]},
          {"type":"function_call","call_id":"c3","name":"f","arguments":"{\"x\":"}])"),
      "{\"role\": \"user\", \"content\": \"q\"}\n"
      "{\"role\": \"assistant\", \"content\": \"a\", \"reasoning_content\": \"hm\", "
      "\"tool_calls\": [{\"id\": \"c1\", \"type\": \"function\", \"function\": {\"name\": \"f\", "
      "\"arguments\": {\"x\": 1}}}, {\"id\": \"c2\", \"type\": \"function\", \"function\": "
      "{\"name\": \"g\", \"arguments\": {}}}]}\n"
      "{\"role\": \"tool\", \"content\": \"one\", \"tool_call_id\": \"c1\", \"name\": \"f\"}\n"
      "{\"role\": \"tool\", \"content\": \"two\\nthree\", \"tool_call_id\": \"c2\", \"name\": "
      "\"g\"}\n"
      "{\"role\": \"assistant\", \"content\": null, \"reasoning_content\": \"so\", "
      "\"tool_calls\": [{\"id\": \"c3\", \"type\": \"function\", \"function\": {\"name\": \"f\", "
      "\"arguments\": \"{\\\"x\\\":\"}}]}\n");
  EXPECT_EQ(ignored_, "");
}

TEST_F(ResponsesInputTest, AThoughtComesBackInEveryForm) {
  const std::string thought =
      "{\"role\": \"assistant\", \"content\": \"a\", \"reasoning_content\": \"hm\"}\n";
  for (const char* fields : {
           R"("content":[{"type":"reasoning_text","text":"hm"}],"summary":[])",
           R"("content":[{"type":"reasoning_text","text":"hm"}],"summary":[
               {"type":"summary_text","text":"short"}])",
           R"("summary":[{"type":"summary_text","text":"hm"}])",
           R"("summary":[],"encrypted_content":"lockstep:hm")",
           R"("content":null,"summary":[],"encrypted_content":"lockstep:hm")",
       }) {
    EXPECT_EQ(Messages("[{\"type\":\"reasoning\"," + std::string(fields) +
                       R"(},{"role":"assistant","content":"a"}])"),
              thought)
        << fields;
    EXPECT_EQ(ignored_, "");
  }
  // What others have encrypted cannot be read.
  EXPECT_EQ(Messages(R"([{"type":"reasoning","summary":[],"encrypted_content":"gAAAA"},
                         {"role":"assistant","content":"a"}])"),
            "{\"role\": \"assistant\", \"content\": \"a\"}\n");
  EXPECT_EQ(ignored_, "input[0].encrypted_content");
}

TEST_F(ResponsesInputTest, CallsOfOtherKindsAreCalls) {
  EXPECT_EQ(
      Messages(R"([{"role":"user","content":"q"},
          {"type":"custom_tool_call","call_id":"c1","name":"p","input":"a\nb"},
          {"type":"custom_tool_call_output","call_id":"c1","output":"ok"},
          {"type":"function_call","call_id":"c2","namespace":"files","name":"read",
           "arguments":"{}"},
          {"type":"function_call_output","call_id":"c2","output":"text"},
          {"type":"local_shell_call","id":"lsh_1","call_id":"c3","status":"completed",
           "action":{"type":"exec","command":["ls"]}},
          {"type":"local_shell_call_output","id":"c3","output":"{}"},
          {"type":"shell_call","call_id":"c4","action":{"commands":["ls"]},"environment":null},
          {"type":"shell_call_output","call_id":"c4","output":[{"stdout":"a","stderr":"",
           "outcome":{"type":"exit","exit_code":0}}]}])"),
      "{\"role\": \"user\", \"content\": \"q\"}\n"
      "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"c1\", \"type\": "
      "\"function\", \"function\": {\"name\": \"p\", \"arguments\": {\"input\": "
      "\"a\\nb\"}}}]}\n"
      "{\"role\": \"tool\", \"content\": \"ok\", \"tool_call_id\": \"c1\", \"name\": \"p\"}\n"
      "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"c2\", \"type\": "
      "\"function\", \"function\": {\"name\": \"files__read\", \"arguments\": {}}}]}\n"
      "{\"role\": \"tool\", \"content\": \"text\", \"tool_call_id\": \"c2\", \"name\": "
      "\"files__read\"}\n"
      "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"c3\", \"type\": "
      "\"function\", \"function\": {\"name\": \"local_shell\", \"arguments\": {\"type\": \"exec\", "
      "\"command\": [\"ls\"]}}}]}\n"
      "{\"role\": \"tool\", \"content\": \"{}\", \"tool_call_id\": \"c3\", \"name\": "
      "\"local_shell\"}\n"
      "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"c4\", \"type\": "
      "\"function\", \"function\": {\"name\": \"shell\", \"arguments\": {\"commands\": "
      "[\"ls\"]}}}]}\n"
      "{\"role\": \"tool\", \"content\": "
      "\"[{\\\"stdout\\\":\\\"a\\\",\\\"stderr\\\":\\\"\\\",\\\"outcome\\\":{\\\"type\\\":"
      "\\\"exit\\\",\\\"exit_code\\\":0}}]\", \"tool_call_id\": \"c4\", \"name\": \"shell\"}\n");
}

TEST_F(ResponsesInputTest, ItemsOfTheirToolsAreLeftOutAndNamed) {
  EXPECT_EQ(Messages(R"([{"role":"user","content":"q"},
      {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search"}},
      {"type":"mcp_list_tools","id":"m","server_label":"s","tools":[]}])"),
            "{\"role\": \"user\", \"content\": \"q\"}\n");
  EXPECT_EQ(ignored_, "input[1]: web_search_call, input[2]: mcp_list_tools");
}

TEST_F(ResponsesInputTest, RefusesByPlace) {
  const std::pair<std::string, const char*> cases[] = {
      {"null", "input"},
      {"1", "input"},
      {"{}", "input"},
      {"[1]", "input[0]"},
      {"[null]", "input[0]"},
      {R"([{"id":"msg_1"}])", "input[0].id"},
      {R"([{"type":"item_reference","id":"msg_1"}])", "input[0].id"},
      {R"([{"type":"item_reference"}])", "input[0].id"},
      {R"([{"type":"compaction","encrypted_content":"x"}])", "input[0].type"},
      {R"([{"type":"configuration_update","text":{}}])", "input[0].type"},
      {R"([{"type":{},"role":"user","content":"x"}])", "input[0].type"},
      {R"([{"type":"local_shell_call","call_id":"c","action":["x"]}])", "input[0].action"},
      {R"([{"type":"apply_patch_call","call_id":"c","operation":1}])", "input[0].operation"},
      {R"([{"role":"wizard","content":"x"}])", "input[0].role"},
      {R"([{"role":"user"}])", "input[0].content"},
      {R"([{"role":"user","content":1}])", "input[0].content"},
      {R"([{"role":"user","content":["x",1]}])", "input[0].content[1]"},
      {R"([{"role":"user","content":[{"type":"input_image","image_url":"x"}]}])",
       "input[0].content[0].type"},
      {R"([{"role":"user","content":[{"type":"input_text"}]}])", "input[0].content[0].text"},
      {R"([{"type":"function_call","call_id":"c"}])", "input[0].name"},
      {R"([{"type":"function_call","name":"f"}])", "input[0].call_id"},
      {R"([{"type":"function_call_output","output":"x"}])", "input[0].call_id"},
      {R"([{"type":"function_call_output","call_id":"c","output":[
           {"type":"input_image","image_url":"x"}]}])",
       "input[0].output[0].type"},
  };
  for (const auto& [input, param] : cases) {
    SCOPED_TRACE(input);
    const HttpReply reply = Post(input);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(std::string("\"param\":\"") + param + "\""));
  }
  EXPECT_THAT(Post(R"([{"type":"item_reference","id":"msg_1"}])").body, HasSubstr("is not known"));
  EXPECT_THAT(Post(R"([{"role":"user","content":[{"type":"input_image"}]}])").body,
              HasSubstr("reads text only"));
  EXPECT_EQ(service_.submitted(), 0u);
}

}  // namespace
}  // namespace lockstep
