// Tools in conversations before a fake service, which answers with a script: what requests may
// say, the grammar that they are bound to, and the form of calls in answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr char kTools[] =
    R"("tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object",
       "properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}}},
       {"type":"function","function":{"name":"now"}}])";
constexpr char kAdd[] = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>";
constexpr char kNow[] = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

class OpenAiToolsTest : public ApiFixture {
 protected:
  OpenAiToolsTest() : ApiFixture("x", kCallTemplate, FinishReason::kStop) {}

  HttpReply Post(const std::string& fields) {
    return PostJson(router_, "/v1/chat/completions",
                    R"({"messages":[{"role":"user","content":"x"}])" + fields + "}");
  }
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
      {R"(,"tool_choice":"any")", false, true, true, true},
      {R"(,"tool_choice":{"type":"auto"})", true, true, true, true},
      {R"(,"tool_choice":{"type":"required"})", false, true, true, true},
      {R"(,"tool_choice":{"type":"any"})", false, true, true, true},
      {R"(,"tool_choice":"required","parallel_tool_calls":false)", false, true, true, false},
      {R"(,"tool_choice":{"type":"function","function":{"name":"now"}})", false, false, true,
       false},
      {R"(,"tool_choice":"now")", false, false, true, false},
      {R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[
           {"type":"function","function":{"name":"add"}}]}})",
       true, true, false, false},
      {R"(,"tool_choice":{"type":"allowed_tools","mode":"required","tools":[
           {"type":"function","name":"now"}]})",
       false, false, true, false},
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
  for (const char* none : {R"("none")", R"({"type":"none"})"}) {
    ASSERT_EQ(Post("," + std::string(kTools) + R"(,"tool_choice":)" + none).status, 200);
    EXPECT_TRUE(Allows(wrong));
    EXPECT_EQ(LastPrompt(), "x");
  }
  // The name of a tool is what it names.
  ASSERT_EQ(Post(R"(,"tools":[{"type":"function","function":{"name":"any"}},
                    {"type":"function","function":{"name":"now"}}],"tool_choice":"any")")
                .status,
            200);
  EXPECT_FALSE(Allows(kNow));
  // What a word is sent with is named.
  EXPECT_EQ(Ignored(Post("," + std::string(kTools) + R"(,"tool_choice":{"type":"any","x":1})")),
            "tool_choice.x");
}

// Tools that OpenAI's servers run are left out of the choice as they are out of the tools.
TEST_F(OpenAiToolsTest, AllowedToolsThatCannotBeCalledAreLeftOut) {
  const auto post = [this](const char* mode, const std::string& allowed) {
    return Post("," + std::string(kTools) + R"(,"tool_choice":{"type":"allowed_tools","mode":")" +
                mode + R"(","tools":[)" + allowed + "]}");
  };
  const std::string others =
      R"({"type":"web_search_preview"},{"type":"mcp","server_label":"m","name":"now"},
         {"type":"custom","custom":{"name":"patch"}})";
  const HttpReply reply = post("required", others + R"(,{"type":"function","name":"add"})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(Ignored(reply),
            "tool_choice.tools[0]: web_search_preview, tool_choice.tools[1]: mcp, "
            "tool_choice.tools[2]: custom");
  EXPECT_TRUE(Allows(kAdd));
  EXPECT_FALSE(Allows(kNow));
  EXPECT_FALSE(Allows("Four."));
  // None is left: where calling is optional nothing is called, and where it is not, nothing can be.
  ASSERT_EQ(post("auto", others).status, 200);
  EXPECT_EQ(LastPrompt(), "x");
  const HttpReply refused = post("required", others);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, testing::HasSubstr("\"param\":\"tool_choice.tools\""));
}

TEST_F(OpenAiToolsTest, RefusalsNameTheField) {
  const std::string tools = std::string(",") + kTools;
  const std::pair<std::string, const char*> cases[] = {
      {R"(,"tool_choice":"required")", "tool_choice"},
      {tools + R"(,"tool_choice":"maybe")", "tool_choice"},
      {tools + R"(,"tool_choice":{"type":"maybe"})", "tool_choice.type"},
      {R"(,"tool_choice":"any")", "tool_choice"},
      {tools + R"(,"functions":[{"name":"f"}])", "functions"},
      {R"(,"tools":[{"type":null,"custom":{"name":"f"}}])", "tools[0].name"},
      {R"(,"tools":[{"type":"tool","function":{"name":"f"}}])", "tools[0].type"},
      {R"(,"tools":[{}])", "tools[0].name"},
      {tools + R"(,"function_call":"auto")", "function_call"},
      {tools + R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[
           {"type":"function","function":{"name":"sub"}}]}})",
       "tool_choice"},
      {tools + R"(,"tool_choice":{"type":"allowed_tools","mode":"none","tools":[]})",
       "tool_choice.mode"},
      {R"(,"tools":[{"type":"custom","custom":{"name":"f","format":{"type":"grammar",
           "grammar":{"syntax":"regex"}}}}])",
       "tools[0].custom.format.grammar.definition"},
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
      {R"(,"tools":[{"type":"function","function":{"name":"f","strict":true,
           "parameters":{"properties":{"a":{"type":"string","pattern":"(a)\\1"}}}}}])",
       "tools[0].function.parameters"},
  };
  for (const auto& [fields, param] : cases) {
    SCOPED_TRACE(fields);
    const HttpReply reply = Post(fields);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(std::string("\"param\":\"") + param + "\""));
  }
}

// A template without tools: the server's own form, said in a header, or a refusal.
TEST_F(OpenAiToolsTest, ATemplateWithoutTools) {
  const std::string tools = std::string(",") + kTools;
  service_.SetChatTemplate("{{ messages[0].content }}");
  const HttpReply generic = Post(tools);
  EXPECT_EQ(generic.status, 200);
  EXPECT_EQ(FindHeader(generic.headers, "X-Tool-Format"), "generic");
  EXPECT_TRUE(Allows(kAdd));
  ApiSettings settings;
  settings.generate.generic_tools = false;
  const Router strict(service_, settings);
  const auto post = [&](const std::string& fields) {
    return PostJson(strict, "/v1/chat/completions",
                    R"({"messages":[{"role":"user","content":"x"}])" + fields + "}");
  };
  EXPECT_THAT(post(tools).body, HasSubstr("does not say how to call"));
  EXPECT_EQ(post(tools + R"(,"tool_choice":"none")").status, 200);
}

// A call is one thing: a stop string cuts the text before it, and nothing of the call.
TEST_F(OpenAiToolsTest, StopsActOutsideOfCalls) {
  ASSERT_EQ(Post("," + std::string(kTools) + R"(,"stop":["add"])").status, 200);
  const GenerationOptions options = service_.request(0).options;
  EXPECT_EQ(options.stop_limit.marker, "<tool_call>");
  EXPECT_FALSE(options.stop_limit.at_start);
}

TEST_F(OpenAiToolsTest, NamesMayHaveDotsAndBeLong) {
  const std::string name = "mcp.server/" + std::string(200, 'x');
  EXPECT_EQ(Post(R"(,"tools":[{"type":"function","function":{"name":")" + name + "\"}}]").status,
            200);
  EXPECT_TRUE(Allows("<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": {}}\n</tool_call>"));
}

// What a tool that is not strict says beyond what can be kept is told, and the rest holds.
TEST_F(OpenAiToolsTest, WhatIsDroppedOfASchemaIsNamed) {
  const HttpReply reply = Post(R"(,"tools":[{"type":"function","function":{"name":"now",
      "parameters":{"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}}}}])");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(std::string(FindHeader(reply.headers, "X-Ignored-Params")),
              testing::AllOf(HasSubstr("tools[0].function.parameters"), HasSubstr("uniqueItems")));
  EXPECT_TRUE(Allows(kNow));
}

TEST_F(OpenAiToolsTest, FunctionsAreAnsweredInTheirOwnForm) {
  service_.script = kNow;
  constexpr char kFunctions[] = R"(,"functions":[{"name":"now","parameters":null}])";
  const Json answer = Json::parse(Post(kFunctions).body, nullptr, false)["choices"][0];
  EXPECT_EQ(answer["finish_reason"], "function_call");
  EXPECT_EQ(answer["message"]["function_call"].dump(), R"j({"name":"now","arguments":"{}"})j");
  EXPECT_FALSE(answer["message"].contains("tool_calls"));
  EXPECT_EQ(Post(std::string(kFunctions) + R"(,"tools":[])").status, 200);  // which are none
  EXPECT_EQ(Post(R"(,"functions":[],"function_call":"none")").status, 200);
  EXPECT_EQ(Post(std::string(kFunctions)).status, 200);
  EXPECT_FALSE(Allows(std::string(kNow) + "\n" + kNow));
  ASSERT_EQ(Post(std::string(kFunctions) + R"(,"function_call":{"name":"now"})").status, 200);
  EXPECT_FALSE(Allows("Four."));
  const HttpReply stream = Post(std::string(kFunctions) + R"(,"stream":true)");
  const std::string events = Read(stream);
  EXPECT_THAT(events, HasSubstr(R"("delta":{"function_call":{"name":"now","arguments":""}})"));
  EXPECT_THAT(events, HasSubstr(R"("finish_reason":"function_call")"));
}

TEST_F(OpenAiToolsTest, CustomToolsHaveATextForTheirArguments) {
  service_.script =
      "<tool_call>\n{\"name\": \"sh\", \"arguments\": {\"input\": \"ls\\n\"}}\n</tool_call>";
  constexpr char kCustom[] = R"(,"tools":[{"type":"custom","custom":{"name":"sh"}}])";
  const Json answer = Json::parse(Post(kCustom).body, nullptr, false)["choices"][0];
  EXPECT_EQ(answer["message"]["tool_calls"][0]["type"], "custom");
  EXPECT_EQ(answer["message"]["tool_calls"][0]["custom"].dump(),
            R"j({"name":"sh","input":"ls\n"})j");
  EXPECT_TRUE(Allows(service_.script));
  const HttpReply stream = Post(std::string(kCustom) + R"(,"stream":true)");
  const std::string events = Read(stream);
  EXPECT_THAT(events, HasSubstr(R"j("custom":{"name":"sh","input":"ls\n"})j"));
}

// As in /v1/responses: what others run, and what cannot be bound, is left out and named; and its
// flat form is taken.
TEST_F(OpenAiToolsTest, ToolsOfServersAreNamedAndLeftOut) {
  const std::string tools = R"(,"tools":[{"type":"web_search"},{"type":"custom","custom":
      {"name":"f","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"x"}}}},
      {"type":"function","name":"now","description":"d","parameters":{"type":"object",
       "properties":{"a":{"type":"integer"}},"required":["a"]},"strict":null},
      {"name":"add"}])";
  EXPECT_EQ(Ignored(Post(tools)), "tools[0]: web_search, tools[1]: custom");
  EXPECT_EQ(LastPrompt(), "<tool_call>\n{\"name\": now<tool_call>\n{\"name\": addx");
  EXPECT_TRUE(Allows("<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": 1}}\n</tool_call>"));
  EXPECT_FALSE(Allows(kNow));
  const HttpReply none = Post(R"(,"tools":[{"type":"web_search"}],"tool_choice":"required")");
  EXPECT_EQ(none.status, 400);
  EXPECT_THAT(none.body, HasSubstr("tool_choice needs a tool that the client runs"));
}

TEST_F(OpenAiToolsTest, ACustomToolsInputMayHaveARegularExpression) {
  for (const char* expression : {"[a-c]+\\\\d?", "^[a-c]+\\\\d?$"}) {
    for (const char* format : {R"("grammar":{"syntax":"regex","definition":"%"})",
                               R"("syntax":"regex","definition":"%")"}) {
      std::string fields = format;
      fields.replace(fields.find('%'), 1, expression);
      const std::string custom = R"("name":"sh","format":{"type":"grammar",)" + fields + "}";
      for (const std::string& tool : {R"({"type":"custom","custom":{)" + custom + "}}",
                                      R"({"type":"custom",)" + custom + "}"}) {
        SCOPED_TRACE(tool);
        EXPECT_EQ(Ignored(Post(R"(,"tools":[)" + tool + "]")), "");
        const auto call = [](const std::string& input) {
          return "<tool_call>\n{\"name\": \"sh\", \"arguments\": {\"input\": \"" + input +
                 "\"}}\n</tool_call>";
        };
        EXPECT_TRUE(Allows(call("abc1")));
        EXPECT_FALSE(Allows(call("abcd")));
        EXPECT_FALSE(Allows(call("xabc1")));
      }
    }
  }
  // What cannot be bound of it is named.
  EXPECT_EQ(Ignored(Post(R"(,"tools":[{"type":"custom","custom":{"name":"sh","format":{
                "type":"grammar","grammar":{"syntax":"regex","definition":"(a)\\1"}}}}])")),
            "tools[0].custom.format/properties/input: pattern");
}

// As much of the text as was written, without the JSON around it: escape sequences that are cut are
// left out.
TEST_F(OpenAiToolsTest, ACutCustomCallHasTheBeginningOfItsText) {
  service_.script_end = FinishReason::kLength;
  constexpr char kCustom[] = R"(,"tools":[{"type":"custom","custom":{"name":"sh"}}])";
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"{\n  \"inp", ""},
      {"{\n  \"input\": \"", ""},
      {R"({"input": "ls\n-l)", "ls\n-l"},
      {R"({"input": "ls\)", "ls"},
      {R"({"input": "a\"b\u00e)", "a\"b"},
      {R"({"input": "a\u00e9)", "a\u00e9"},
      {R"({"input": "a\ud83d)", "a"},
      {R"({"input": "a\ud83d\ude00b)", "a\U0001F600b"},
      {R"({"input": "ls")", "ls"},
  };
  for (const auto& [arguments, text] : cases) {
    SCOPED_TRACE(arguments);
    service_.script = std::string("<tool_call>\n{\"name\": \"sh\", \"arguments\": ") + arguments;
    const Json answer = Json::parse(Post(kCustom).body, nullptr, false)["choices"][0];
    EXPECT_EQ(answer["finish_reason"], "length");
    EXPECT_EQ(answer["message"]["tool_calls"][0]["custom"]["input"], text);
    const HttpReply stream = Post(std::string(kCustom) + R"(,"stream":true)");
    EXPECT_THAT(Read(stream), HasSubstr(R"("custom":{"name":"sh","input":)" + Dump(Json(text))));
  }
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
