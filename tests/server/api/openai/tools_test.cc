// Tools in conversations before a fake service, which answers with a script: what requests may
// say, the grammar that they are bound to, and the form of calls in answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "server/json/json_text.h"
#include "tests/server/generation/fake_service.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr char kTemplate[] =
    "{% for t in tools %}<tool_call>\n{\"name\": {{ t.function.name }}{% endfor %}"
    "{% for m in messages %}{{ m.content }}{% endfor %}";
constexpr char kTools[] =
    R"("tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object",
       "properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}}},
       {"type":"function","function":{"name":"now"}}])";
constexpr char kAdd[] = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>";
constexpr char kNow[] = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

class OpenAiToolsTest : public testing::Test {
 protected:
  OpenAiToolsTest() {
    service_.script = "x";
    service_.script_end = FinishReason::kStop;
    service_.SetChatTemplate(kTemplate);
  }

  HttpReply Post(const std::string& fields) {
    HttpRequest request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.headers = {{"Content-Type", "application/json"}};
    request.body = R"({"messages":[{"role":"user","content":"x"}])" + fields + "}";
    return handlers_.Handle(request);
  }
  // Whether the last request's grammar allows a text; if it has none, all are.
  bool Allows(std::string_view text) {
    const auto grammar = service_.request(service_.submitted() - 1).options.grammar;
    if (grammar == nullptr) return true;
    return Matches(grammar->grammar(), text);
  }

  FakeService service_;
  ApiHandlers handlers_{service_};
};

TEST_F(OpenAiToolsTest, TheChoiceBindsTheText) {
  const std::string both = std::string(kAdd) + "\n" + kNow;
  const std::string wrong =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": \"2\"}}\n</tool_call>";
  const struct {
    const char* fields;
    bool text, add, now, both;
  } cases[] = {
      {"", true, true, true, true},
      {R"(,"tool_choice":"auto")", true, true, true, true},
      {R"(,"tool_choice":"required")", false, true, true, true},
      {R"(,"tool_choice":"required","parallel_tool_calls":false)", false, true, true, false},
      {R"(,"tool_choice":{"type":"function","function":{"name":"now"}})", false, false, true,
       false},
      {R"(,"response_format":{"type":"json_object"})", false, true, true, true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.fields);
    ASSERT_EQ(Post("," + std::string(kTools) + c.fields).status, 200);
    EXPECT_EQ(Allows("Four."), c.text);
    EXPECT_EQ(Allows(kAdd), c.add);
    EXPECT_EQ(Allows(kNow), c.now);
    EXPECT_EQ(Allows(both), c.both);
    EXPECT_FALSE(Allows(wrong));
  }
  EXPECT_TRUE(Allows("{\"b\": 1}"));  // of the last one's response_format
  ASSERT_EQ(Post("," + std::string(kTools) + R"(,"tool_choice":"none")").status, 200);
  EXPECT_TRUE(Allows(wrong));
  EXPECT_EQ(service_.request(service_.submitted() - 1).prompt, (std::vector<int32_t>{'x'}));
}

TEST_F(OpenAiToolsTest, RefusalsNameTheField) {
  const std::string tools = std::string(",") + kTools;
  const std::pair<std::string, const char*> cases[] = {
      {R"(,"tool_choice":"required")", "tool_choice"},
      {tools + R"(,"tool_choice":"maybe")", "tool_choice"},
      {tools + R"(,"tool_choice":{})", "tool_choice"},
      {tools + R"(,"tool_choice":{"type":"function","function":{}})", "tool_choice.function.name"},
      {tools + R"(,"tool_choice":{"type":"function","function":{"name":"sub"}})", "tool_choice"},
      {tools + R"(,"parallel_tool_calls":1)", "parallel_tool_calls"},
      {tools + R"(,"grammar":"root ::= \"a\"")", "grammar"},
      {tools + R"(,"grammar":"root ::= \"a\"","response_format":{"type":"text"})", "grammar"},
      {R"(,"tools":[{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name"},
      {R"(,"tools":[{"type":"function","function":{"name":"f"}},
           {"type":"function","function":{"name":"f"}}])",
       "tools[1].function.name"},
      {R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"array"}}}])",
       "tools[0].function.parameters"},
      {R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{"not":{}}}}])",
       "tools[0].function.parameters"},
  };
  for (const auto& [fields, param] : cases) {
    SCOPED_TRACE(fields);
    const HttpReply reply = Post(fields);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(std::string("\"param\":\"") + param + "\""));
  }
  service_.SetChatTemplate("{{ messages[0].content }}");
  EXPECT_THAT(Post(tools).body, HasSubstr("does not say how to call"));
  EXPECT_EQ(Post(tools + R"(,"tool_choice":"none")").status, 200);
}

TEST_F(OpenAiToolsTest, CallsAreFieldsOfTheMessage) {
  service_.script = std::string("So:\n") + kAdd + "\n" + kNow;
  const Json answer =
      Json::parse(Post(std::string(",") + kTools).body, nullptr, false)["choices"][0];
  EXPECT_EQ(answer["finish_reason"], "tool_calls");
  const Json& message = answer["message"];
  EXPECT_EQ(message["content"], "So:");
  ASSERT_EQ(message["tool_calls"].size(), 2u);
  EXPECT_EQ(message["tool_calls"][0]["type"], "function");
  EXPECT_EQ(message["tool_calls"][0]["function"].dump(),
            R"j({"name":"add","arguments":"{\"a\": 2}"})j");
  EXPECT_EQ(message["tool_calls"][1]["function"].dump(), R"j({"name":"now","arguments":"{}"})j");
  EXPECT_NE(message["tool_calls"][0]["id"], message["tool_calls"][1]["id"]);

  service_.script = kNow;
  EXPECT_THAT(Post(std::string(",") + kTools).body, HasSubstr(R"("content":null)"));
  service_.script_end = FinishReason::kLength;  // cut in the middle of a call
  service_.script = std::string(kAdd).substr(0, strlen(kAdd) - 20);
  const std::string cut = Post(std::string(",") + kTools).body;
  EXPECT_THAT(cut, HasSubstr(R"("finish_reason":"length")"));
  EXPECT_THAT(cut, HasSubstr(R"("name":"add")"));
  service_.script = "No.";
  EXPECT_THAT(Post(std::string(",") + kTools).body, testing::Not(HasSubstr("tool_calls")));
}

// The name once, at the beginning; the arguments in pieces.
TEST_F(OpenAiToolsTest, CallsAreStreamed) {
  service_.script = std::string("So:\n") + kAdd + "\n" + kNow;
  const HttpReply reply = Post(std::string(",") + kTools + R"(,"stream":true,"logprobs":true)");
  std::string content, finish;
  std::vector<Json> calls;
  size_t logprobs = 0;
  for (BodyPart part; part.then != BodyPart::Then::kLast;) {
    part = reply.next();
    for (size_t at = part.data.find("data: {"); at != std::string::npos;
         at = part.data.find("data: {", at + 1)) {
      const size_t end = part.data.find("\n\n", at);
      const Json choice =
          Json::parse(part.data.substr(at + 6, end - at - 6), nullptr, false)["choices"][0];
      if (choice["delta"].contains("content")) content += choice["delta"]["content"];
      if (!choice["logprobs"].is_null()) logprobs += choice["logprobs"]["content"].size();
      if (!choice["finish_reason"].is_null()) finish = choice["finish_reason"];
      if (!choice["delta"].contains("tool_calls")) continue;
      const Json& call = choice["delta"]["tool_calls"][0];
      if (call.contains("id")) {
        EXPECT_EQ(call["index"], calls.size());
        EXPECT_EQ(call["type"], "function");
        calls.push_back(call["function"]);
      } else {
        EXPECT_FALSE(call["function"].contains("name"));
        calls.at(call["index"])["arguments"].get_ref<std::string&>() +=
            call["function"]["arguments"];
      }
    }
  }
  EXPECT_EQ(content, "So:");
  EXPECT_EQ(finish, "tool_calls");
  EXPECT_EQ(logprobs, service_.script.size());
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].dump(), R"j({"name":"add","arguments":"{\"a\": 2}"})j");
  EXPECT_EQ(calls[1].dump(), R"j({"name":"now","arguments":"{}"})j");
}

}  // namespace
}  // namespace lockstep
