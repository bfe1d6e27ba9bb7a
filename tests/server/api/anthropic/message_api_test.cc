// Requests of Anthropic's API before a fake service: what they may say, and what becomes of it.
#include "server/api/anthropic/message_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/chat_templates.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kPath[] = "/v1/messages", kCount[] = "/v1/messages/count_tokens";
constexpr char kTemplate[] =
    "{% for t in tools %}<tool_call>\n{\"name\": {{ t.function.name }}{% endfor %}"
    "{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}";
constexpr char kTool[] =
    R"("tools":[{"name":"add","input_schema":{"type":"object","properties":{"a":{"type":"integer"}},
       "required":["a"],"additionalProperties":false}}])";
constexpr char kAdd[] = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>";

class MessageApiTest : public ApiFixture {
 protected:
  MessageApiTest() : ApiFixture("tale", kTemplate, FinishReason::kStop) {}

  HttpReply Post(const std::string& fields, const char* path = kPath) {
    return PostJson(
        router_, path,
        R"({"model":"fake","messages":[{"role":"user","content":"hi"}])" + fields + "}");
  }
  GenerationOptions Options(const std::string& fields) {
    const HttpReply reply = Post(R"(,"max_tokens":9)" + fields);
    EXPECT_EQ(reply.status, 200) << fields << reply.body;
    return LastOptions();
  }
};

TEST_F(MessageApiTest, FieldsBecomeOptions) {
  EXPECT_EQ(Options("").max_tokens, 9u);
  EXPECT_EQ(Options("").sampling.temperature, 1);
  EXPECT_EQ(Options("").sampling.top_k, 0);
  EXPECT_EQ(Options("").sampling.top_p, 1);
  EXPECT_EQ(Options("").sampling.min_p, 0);
  EXPECT_EQ(Options(R"(,"temperature":0.5,"top_p":0.25)").sampling.temperature, 0.5);
  EXPECT_EQ(Options(R"(,"top_k":7,"seed":3)").sampling.top_k, 7);
  EXPECT_EQ(Options(R"(,"seed":3)").sampling.seed, 3u);
  EXPECT_THAT(Options(R"(,"stop_sequences":["a","","b"])").stop, ElementsAre("a", "b"));
  EXPECT_THAT(Options(R"(,"stop_sequences":[])").stop, ElementsAre());
}

TEST_F(MessageApiTest, TheLimitIsNeededForAnAnswerAlone) {
  const HttpReply reply = Post("");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr(R"("message":"max_tokens is missing)"));
  EXPECT_EQ(Post(R"(,"max_tokens":-1)").status, 400);
  EXPECT_EQ(Post("", kCount).status, 200);
}

TEST_F(MessageApiTest, CountsTheTokensOfThePrompt) {
  const HttpReply reply = Post(R"(,"system":"be","tools":[])", kCount);
  EXPECT_EQ(reply.status, 200);
  Post(R"(,"system":"be","tools":[],"max_tokens":1)");
  EXPECT_EQ(LastPrompt(), "[system:be][user:hi]");
  EXPECT_EQ(reply.body, R"({"input_tokens":20})");
  EXPECT_EQ(Post(std::string(",") + kTool, kCount).body,
            fmt::format(R"({{"input_tokens":{}}})",
                        std::string("<tool_call>\n{\"name\": add[user:hi]").size()));
  EXPECT_EQ(service_.submitted(), 1u);  // nothing is generated
}

TEST_F(MessageApiTest, NoTokenIsToldWhereThePromptIsReadForTheCache) {
  const HttpReply reply = Post(R"(,"max_tokens":0)");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(service_.request(0).options.max_tokens, 1u);
  EXPECT_THAT(reply.body, HasSubstr(R"("content":[],"stop_reason":"max_tokens")"));
  EXPECT_THAT(reply.body, HasSubstr(R"("output_tokens":0)"));
}

TEST_F(MessageApiTest, ThinkingIsTheTemplatesSwitch) {
  service_.SetChatTemplate(kQwen3);
  const std::string begin = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
  Options(R"(,"thinking":{"type":"disabled"})");
  EXPECT_EQ(LastPrompt(), begin + "<think>\n\n</think>\n\n");
  for (const char* thinking :
       {"null", R"({"type":"enabled","budget_tokens":1024})", R"({"type":"between_tools"})",
        R"({"type":"adaptive","display":"omitted"})"}) {
    const HttpReply reply = Post(std::string(R"(,"max_tokens":9,"thinking":)") + thinking);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(LastPrompt(), begin) << thinking;
    EXPECT_EQ(Ignored(reply), "");
  }
  service_.SetChatTemplate(kTemplate);
  EXPECT_EQ(Ignored(Post(R"(,"max_tokens":9,"thinking":{"type":"enabled","budget_tokens":1024},
                            "output_config":{"effort":"high"})")),
            "output_config.effort, thinking, thinking.budget_tokens");
}

// The client library falls back to whole conversations by the code.
TEST_F(MessageApiTest, AThreadIsRefusedWithItsCode) {
  const HttpReply reply = Post(R"(,"max_tokens":9,"thread":{"type":"create"})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr(R"("details":{"error_code":"thread_unsupported_request",)"
                                    R"("unsupported":["thread"]})"));
  EXPECT_EQ(Post(R"(,"max_tokens":9,"thread":false)").status, 200);
}

TEST_F(MessageApiTest, TheLastTurnGoesOn) {
  const auto post = [this](const std::string& content, const char* path = kPath) {
    return PostJson(router_, path,
                    R"({"max_tokens":9,"messages":[{"role":"user","content":"hi"},
                        {"role":"assistant","content":)" +
                        content + "}]}");
  };
  for (const char* content : {R"("{")", R"([{"type":"text","text":"{"}])"}) {
    const HttpReply reply = post(content);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(LastPrompt(), "[user:hi][assistant:{");
    EXPECT_THAT(reply.body, HasSubstr(R"("content":[{"type":"text","text":"tale"}])"));
  }
  EXPECT_EQ(Json::parse(post("\"{\"", kCount).body, nullptr, false)["input_tokens"], 21);
  EXPECT_EQ(post(R"("")").status, 200);
  EXPECT_EQ(LastPrompt(), "[user:hi]");
  for (const char* content : {R"("{ ")", R"("{\n")", R"([{"type":"text","text":"a\t"}])"}) {
    const HttpReply reply = post(content);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr("messages must not end with whitespace"));
  }
  const HttpReply call = post(R"([{"type":"tool_use","id":"1","name":"add","input":{}}])");
  EXPECT_EQ(call.status, 400);
  EXPECT_THAT(call.body, HasSubstr("messages must not end with tool_use"));
}

TEST_F(MessageApiTest, AFormatBindsTheText) {
  for (const char* fields :
       {R"(,"output_config":{"format":{"type":"json_schema","schema":{"const":5}}})",
        R"(,"output_format":{"type":"json_schema","schema":{"const":5}})",
        R"(,"grammar":"root ::= \"5\"")"}) {
    const auto grammar = Options(fields).grammar;
    ASSERT_NE(grammar, nullptr) << fields;
    EXPECT_TRUE(Matches(grammar->grammar(), "5"));
    EXPECT_FALSE(Matches(grammar->grammar(), "6"));
  }
  EXPECT_EQ(Options(R"(,"output_config":{"format":null})").grammar, nullptr);
  const std::pair<const char*, const char*> kWrong[] = {
      {R"(,"output_config":{"format":{"type":"text"}})", "output_config.format.type must be"},
      {R"(,"output_config":{"format":{"type":"json_schema"}})", "format.schema must be"},
      {R"(,"output_config":{"format":{"type":"json_schema","schema":{}}},
          "output_format":{"type":"json_schema","schema":{}})",
       "output_format.schema and output_config.format.schema each say"},
  };
  for (const auto& [fields, says] : kWrong) {
    const HttpReply reply = Post(std::string(R"(,"max_tokens":9)") + fields);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(says));
  }
}

TEST_F(MessageApiTest, ToolsBindTheText) {
  const struct {
    const char* choice;
    bool text, call, two;
  } kCases[] = {
      {"", true, true, true},
      {R"(,"tool_choice":{"type":"auto"})", true, true, true},
      {R"(,"tool_choice":{"type":"any"})", false, true, true},
      {R"(,"tool_choice":{"type":"any","disable_parallel_tool_use":true})", false, true, false},
      {R"(,"tool_choice":{"type":"tool","name":"add"})", false, true, false},
  };
  for (const auto& test : kCases) {
    const auto grammar = Options(std::string(",") + kTool + test.choice).grammar;
    ASSERT_NE(grammar, nullptr) << test.choice;
    EXPECT_EQ(Matches(grammar->grammar(), "hello"), test.text) << test.choice;
    EXPECT_EQ(Matches(grammar->grammar(), kAdd), test.call) << test.choice;
    EXPECT_EQ(Matches(grammar->grammar(), std::string(kAdd) + "\n" + kAdd), test.two)
        << test.choice;
  }
  EXPECT_EQ(Options(std::string(",") + kTool + R"(,"tool_choice":{"type":"none"})").grammar,
            nullptr);
  EXPECT_EQ(LastPrompt(), "[user:hi]");
  const HttpReply reply = Post(std::string(R"(,"max_tokens":9,)") + kTool +
                               R"(,"tool_choice":{"type":"tool","name":"sub"})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("tool_choice names"));
}

// A client that finds a tool by another one, or insists on it, gets it into the prompt.
TEST_F(MessageApiTest, ADeferredToolIsLoadedWhereItIsChosen) {
  const char* const kDeferred = R"(,"tools":[{"name":"add","defer_loading":true},{"name":"now"}])";
  Options(kDeferred);
  EXPECT_THAT(LastPrompt(), Not(HasSubstr("add")));
  Options(std::string(kDeferred) + R"(,"tool_choice":{"type":"tool","name":"add"})");
  EXPECT_THAT(LastPrompt(), HasSubstr("add"));
}

TEST_F(MessageApiTest, WhatIsForOthersIsTakenAndNamed) {
  const HttpReply reply = Post(
      R"(,"max_tokens":9,"metadata":{"user_id":"{}"},"context_management":{"edits":[]},
         "safeguards":[{"type":"x"}],"service_tier":"auto","cache_control":{"type":"ephemeral"},
         "betas":["a"],"container":null)");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(Ignored(reply), "metadata, context_management, service_tier, safeguards");
}

TEST_F(MessageApiTest, ErrorsHaveAnthropicsFormWhereverTheyComeFrom) {
  const auto says = [](const HttpReply& reply, int status, const std::string& type) {
    EXPECT_EQ(reply.status, status);
    EXPECT_THAT(reply.body, HasSubstr(R"({"type":"error","error":{"type":")" + type + R"(",)"));
    EXPECT_THAT(reply.body, HasSubstr(R"("request_id":"req-7")"));
    EXPECT_EQ(FindHeader(reply.headers, "request-id"), "req-7");
  };
  const auto send = [](const Router& router, const std::string& path, const std::string& body) {
    HttpRequest request = JsonRequest(path, body);
    request.request_id = "req-7";
    return router.Handle(request);
  };
  says(send(router_, kPath, "{"), 400, "invalid_request_error");
  says(send(router_, kPath, "{}"), 400, "invalid_request_error");
  says(send(router_, kCount, "{}"), 400, "invalid_request_error");
  says(send(router_, "/v1/messages/batches", "{}"), 404, "not_found_error");
  HttpRequest get;
  get.method = "GET";
  get.path = kPath;
  get.request_id = "req-7";
  says(router_.Handle(get), 405, "invalid_request_error");
  says(router_.Refuse(get, 413, "too large"), 413, "request_too_large");
  says(Router().Handle(JsonRequest(kPath, "{}")).status == 529 ? send(Router(), kPath, "{}")
                                                               : HttpReply{},
       529, "overloaded_error");

  const std::string good =
      R"({"max_tokens":1,"messages":[{"role":"user","content":"x"}],"stream":true})";
  service_.refusal = Error{ErrorKind::kOverloaded, "full", {}};
  const HttpReply full = send(router_, kPath, good);
  says(full, 429, "rate_limit_error");
  EXPECT_NE(FindHeader(full.headers, "Retry-After"), "");
  service_.refusal = Error{ErrorKind::kContextExceeded, "long", "prompt"};
  const HttpReply too_long = send(router_, kPath, good);
  says(too_long, 400, "invalid_request_error");
  EXPECT_THAT(too_long.body, HasSubstr("prompt is too long"));
}

TEST_F(MessageApiTest, EitherHeaderMayHaveTheKey) {
  ApiSettings settings;
  settings.keys = ApiKeys::Load({"secret"}, "").value();
  const Router router(service_, std::move(settings));
  const auto status = [&](const HttpHeaders& headers) {
    HttpRequest request = JsonRequest(kCount, R"({"messages":[{"role":"user","content":"x"}]})");
    request.headers.insert(request.headers.end(), headers.begin(), headers.end());
    return router.Handle(request).status;
  };
  EXPECT_EQ(status({}), 401);
  EXPECT_EQ(status({{"x-api-key", "wrong"}}), 401);
  EXPECT_EQ(status({{"x-api-key", "secret"}}), 200);
  EXPECT_EQ(status({{"Authorization", "Bearer secret"}}), 200);
  // Some clients send two, one of which is for another server.
  EXPECT_EQ(status({{"Authorization", "Bearer other"}, {"x-api-key", "secret"}}), 200);
}

}  // namespace
}  // namespace lockstep
