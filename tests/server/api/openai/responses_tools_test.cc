// Tools of responses before a fake service: which there are in the prompt, what may be called, and
// what the client is told.
#include "server/api/openai/responses_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr char kTemplate[] =
    "{% for t in tools %}<tool_call>\n{\"name\": {{ t | tojson }}\n{% endfor %}"
    "{% for m in messages %}{{ m.content }}{% endfor %}";
constexpr char kTools[] = R"("tools":[
    {"type":"function","name":"add","description":"Adds.","strict":false,"parameters":{
     "type":"object","properties":{"a":{"type":"integer"}},"required":["a"],
     "additionalProperties":false}},
    {"type":"function","name":"now","parameters":null},
    {"type":"namespace","name":"files","description":"Of files.","tools":[
     {"type":"function","name":"read","strict":false,"parameters":{"type":"object",
      "properties":{}}}]},
    {"type":"web_search","external_web_access":true},
    {"type":"custom","name":"patch","format":{"type":"grammar","syntax":"lark",
     "definition":"x"}},
    {"type":"custom","name":"note","description":"Any text."}])";

std::string Call(const std::string& name, const std::string& arguments) {
  return "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": " + arguments +
         "}\n</tool_call>";
}

class ResponsesToolsTest : public ApiFixture {
 protected:
  ResponsesToolsTest() : ApiFixture("x", kTemplate, FinishReason::kStop) {}

  HttpReply Post(const std::string& fields, const std::string& input = "\"x\"") {
    return PostJson(router_, "/v1/responses", "{\"input\":" + input + "," + fields + "}");
  }
  Json Answer(const std::string& fields) { return ApiFixture::Answer(Post(fields)); }
};

TEST_F(ResponsesToolsTest, ThePromptHasWhatCanBeCalled) {
  const HttpReply reply = Post(kTools);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(FindHeader(reply.headers, "x-ignored-params"),
            "tools[3]: web_search, tools[4]: custom");
  EXPECT_EQ(LastPrompt(),
            "<tool_call>\n{\"name\": {\"type\": \"function\", \"function\": {\"name\": \"add\", "
            "\"description\": \"Adds.\", \"parameters\": {\"type\": \"object\", \"properties\": "
            "{\"a\": {\"type\": \"integer\"}}, \"required\": [\"a\"], \"additionalProperties\": "
            "false}}}\n"
            "<tool_call>\n{\"name\": {\"type\": \"function\", \"function\": {\"name\": \"now\"}}\n"
            "<tool_call>\n{\"name\": {\"type\": \"function\", \"function\": {\"name\": "
            "\"files__read\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}}\n"
            "<tool_call>\n{\"name\": {\"type\": \"function\", \"function\": {\"name\": \"note\", "
            "\"description\": \"Any text.\", \"parameters\": {\"type\": \"object\", "
            "\"properties\": {\"input\": {\"type\": \"string\"}}, \"required\": [\"input\"], "
            "\"additionalProperties\": false}}}\nx");
  EXPECT_TRUE(Allows("Four."));
  EXPECT_TRUE(Allows(Call("add", "{\"a\": 2}")));
  EXPECT_FALSE(Allows(Call("add", "{\"a\": \"2\"}")));
  EXPECT_TRUE(Allows(Call("files__read", "{}")));
  EXPECT_FALSE(Allows(Call("patch", "{}")));
}

TEST_F(ResponsesToolsTest, TheChoiceComesInManyForms) {
  const struct {
    const char* choice;
    bool text, add, now, read;
  } cases[] = {
      {R"("auto")", true, true, true, true},
      {R"("required")", false, true, true, true},
      {R"("add")", false, true, false, false},
      {R"({"type":"function","name":"add"})", false, true, false, false},
      {R"({"type":"function","function":{"name":"add"}})", false, true, false, false},
      {R"({"type":"function","name":"read"})", false, false, false, true},
      {R"({"type":"function","name":"read","namespace":"files"})", false, false, false, true},
      {R"({"type":"function","name":"files.read"})", false, false, false, true},
      {R"({"type":"function","name":"files__read"})", false, false, false, true},
      {R"({"type":"namespace","name":"files"})", false, false, false, true},
      {R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"now"}]})", true,
       false, true, false},
      {R"({"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"add"},
           {"type":"function","name":"now"}]})",
       false, true, true, false},
      {R"({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[
           {"type":"function","function":{"name":"now"}}]}})",
       false, false, true, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.choice);
    ASSERT_EQ(Post(std::string(kTools) + ",\"tool_choice\":" + c.choice).status, 200);
    EXPECT_EQ(Allows("Four."), c.text);
    EXPECT_EQ(Allows(Call("add", "{\"a\": 2}")), c.add);
    EXPECT_EQ(Allows(Call("now", "{}")), c.now);
    EXPECT_EQ(Allows(Call("files__read", "{}")), c.read);
  }
  const std::string two = Call("now", "{}") + "\n" + Call("now", "{}");
  ASSERT_EQ(Post(std::string(kTools) + R"(,"parallel_tool_calls":false)").status, 200);
  EXPECT_FALSE(Allows(two));
  for (const char* none : {R"("none")", R"({"type":"none"})"}) {
    ASSERT_EQ(Post(std::string(kTools) + R"(,"tool_choice":)" + none).status, 200);
    EXPECT_EQ(LastPrompt(), "x");
  }
  for (const char* any : {R"("any")", R"({"type":"any"})", R"({"type":"required"})"}) {
    ASSERT_EQ(Post(std::string(kTools) + R"(,"tool_choice":)" + any).status, 200);
    EXPECT_FALSE(Allows("Four."));
    EXPECT_TRUE(Allows(Call("now", "{}")));
  }
}

TEST_F(ResponsesToolsTest, ACustomToolsInputMayHaveARegularExpression) {
  EXPECT_EQ(Ignored(Post(R"("tools":[{"type":"custom","name":"sh","format":{"type":"grammar",
                             "syntax":"regex","definition":"ls|pwd"}}])")),
            "");
  EXPECT_TRUE(Allows(Call("sh", "{\"input\": \"pwd\"}")));
  EXPECT_FALSE(Allows(Call("sh", "{\"input\": \"lspwd\"}")));
}

TEST_F(ResponsesToolsTest, AllowedToolsThatCannotBeCalledAreNamed) {
  const HttpReply reply =
      Post(std::string(kTools) + R"(,"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[
          {"type":"web_search"},{"type":"function","name":"now"}]})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(FindHeader(reply.headers, "x-ignored-params"),
              HasSubstr("tool_choice.tools[0]: none of the tools"));
  ASSERT_EQ(Post(std::string(kTools) +
                 R"(,"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]})")
                .status,
            200);
  EXPECT_EQ(LastPrompt(), "x");
}

TEST_F(ResponsesToolsTest, RefusalsNameTheField) {
  const std::string tools = std::string(kTools) + ",";
  const std::pair<std::string, const char*> cases[] = {
      {R"("tools":{})", "tools"},
      {R"("tools":[1])", "tools[0]"},
      {R"("tools":[{"type":"function"}])", "tools[0].name"},
      {R"("tools":[{"type":"function","name":"a b"}])", "tools[0].name"},
      {R"("tools":[{"type":"function","name":"f","parameters":1}])", "tools[0].parameters"},
      {R"("tools":[{"type":"function","name":"f"},{"type":"function","name":"f"}])",
       "tools[1].name"},
      {R"("tools":[{"type":"namespace","name":"n n","tools":[{"type":"function","name":"f"}]}])",
       "tools[0].name"},
      {R"("tools":[{"type":"namespace","tools":[]}])", "tools[0].name"},
      {R"("tools":[{"type":"function","name":"f","strict":true,"parameters":
           {"properties":{"a":{"type":"string","pattern":"(a)\\1"}}}}])",
       "tools[0].parameters"},
      {R"("tool_choice":"required")", "tool_choice"},
      {tools + R"("tool_choice":"maybe")", "tool_choice"},
      {tools + R"("tool_choice":1)", "tool_choice"},
      {tools + R"("tool_choice":{"type":"function","name":"sub"})", "tool_choice.name"},
      {tools + R"("tool_choice":{"type":"custom","name":"patch"})", "tool_choice.name"},
      {tools + R"("tool_choice":{"type":"web_search"})", "tool_choice.type"},
      {tools + R"("tool_choice":{"type":"allowed_tools","mode":"none","tools":[]})",
       "tool_choice.mode"},
      {tools + R"("tool_choice":{"type":"allowed_tools","mode":"required","tools":[
           {"type":"web_search"}]})",
       "tool_choice.tools"},
      {tools + R"("tool_choice":{"type":"allowed_tools","mode":"auto","tools":[[null]]})",
       "tool_choice.tools[0]"},
      {tools + R"("tool_choice":{"type":"allowed_tools","mode":"auto","tools":["now"]})",
       "tool_choice.tools[0]"},
      {tools + R"("tool_choice":{"type":"namespace","name":"other"})", "tool_choice.name"},
      {tools + R"("tool_choice":{"type":1,"name":"now"})", "tool_choice.type"},
      {R"("tools":[{"type":{},"name":"f"}])", "tools[0].type"},
      {R"("tools":[{"type":"namespace","name":"a b","tools":[]}])", "tools[0].name"},
      {R"("tools":[{"type":"namespace","name":"n","tools":[{"type":1,"name":"f"}]}])",
       "tools[0].tools[0].type"},
      {tools + R"("parallel_tool_calls":1)", "parallel_tool_calls"},
  };
  for (const auto& [fields, param] : cases) {
    SCOPED_TRACE(fields);
    const HttpReply reply = Post(fields);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(std::string("\"param\":\"") + param + "\""));
  }
}

TEST_F(ResponsesToolsTest, CallsAreItems) {
  service_.script = "Well. " + Call("files__read", "{\"path\": \"a\"}") + "\n" +
                    Call("note", "{\"input\": \"b\\n\"}");
  const Json output = Answer(kTools)["output"];
  ASSERT_EQ(output.size(), 3u) << Dump(output);
  EXPECT_EQ(output[0]["type"], "message");
  EXPECT_EQ(output[1]["type"], "function_call");
  EXPECT_EQ(output[1]["namespace"], "files");
  EXPECT_EQ(output[1]["name"], "read");
  EXPECT_EQ(output[1]["arguments"], "{\"path\": \"a\"}");
  EXPECT_EQ(output[1]["status"], "completed");
  EXPECT_NE(output[1]["call_id"], output[2]["call_id"]);
  EXPECT_EQ(output[2]["type"], "custom_tool_call");
  EXPECT_EQ(output[2]["input"], "b\n");
}

// Tools that a search in the conversation has found, which may be found again.
TEST_F(ResponsesToolsTest, LaterToolsAreTools) {
  constexpr char kInput[] = R"([{"role":"user","content":"x"},
      {"type":"tool_search_call","execution":"client","call_id":"c","arguments":{}},
      {"type":"tool_search_output","call_id":"c","tools":[{"type":"function","name":"add"}]},
      {"type":"tool_search_output","call_id":"d","tools":[{"type":"function","name":"add"},
        {"type":"namespace","name":"files","tools":[{"type":"function","name":"read"}]}]},
      {"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"now"}]}])";
  const HttpReply reply = Post(R"("tool_choice":"required")", kInput);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(Allows(Call("add", "{}")));
  EXPECT_TRUE(Allows(Call("files__read", "{}")));
  EXPECT_TRUE(Allows(Call("now", "{}")));
}

TEST_F(ResponsesToolsTest, ChatsFormIsTaken) {
  ASSERT_EQ(Post(R"("tools":[{"type":"function","function":{"name":"add","parameters":{}}}],
                    "tool_choice":"required")")
                .status,
            200);
  EXPECT_TRUE(Allows(Call("add", "{}")));
}

}  // namespace
}  // namespace lockstep
