// What an answer must be, said in any server's words to any route but the server's own.
#include "server/api/response_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// Each route, and a request to it up to where its fields go on.
constexpr std::pair<const char*, const char*> kRoutes[] = {
    {"/v1/completions", R"({"prompt":"once")"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}])"},
    {"/v1/responses", R"({"input":"x","store":false)"},
    {"/v1/messages", R"({"max_tokens":9,"messages":[{"role":"user","content":"x"}])"},
    {"/completion", R"({"prompt":"once")"},
    {"/api/chat", R"({"stream":false,"messages":[{"role":"user","content":"x"}])"},
    {"/api/generate", R"({"stream":false,"prompt":"x")"},
    {"/", R"({"inputs":"once","parameters":{"do_sample":false)"},
};

class ResponseFormatTest : public ApiFixture {
 protected:
  ResponseFormatTest() : ApiFixture("true", "{{ messages[0].content }}") {}

  HttpReply Send(const std::pair<const char*, const char*>& route, const std::string& fields) {
    const bool nested = std::string_view(route.first) == "/";
    return Post(route.first, route.second + ("," + fields) + (nested ? "}}" : "}"));
  }
};

TEST_F(ResponseFormatTest, EveryRouteKeepsWhatAnyServersClientsAskFor) {
  constexpr const char* kFields[] = {
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"boolean"}}})",
      R"("json_schema":{"type":"boolean"})",
      R"("structured_outputs":{"json":{"type":"boolean"}})",
      R"("guided_json":"{\"type\":\"boolean\"}")",
      R"("regex":"true|false")",
      R"("guided_regex":"true|false")",
      R"("guided_choice":["true","false"])",
      R"("ebnf":"root ::= \"true\" | \"false\"")",
      R"("guided_grammar":"root ::= \"true\" | \"false\"","guided_decoding_backend":"xgrammar")",
  };
  for (const auto& route : kRoutes) {
    for (const std::string field : kFields) {
      SCOPED_TRACE(route.first + (" " + field));
      EXPECT_EQ(Ignored(Send(route, field)), "");
      EXPECT_TRUE(Allows("true"));
      EXPECT_FALSE(Allows("truth"));
      const HttpReply two = Send(route, field + R"(,"structured_outputs":{"regex":"a"})");
      EXPECT_GE(two.status, 400);
      EXPECT_THAT(two.body, HasSubstr("structured_outputs"));
    }
  }
}

TEST_F(ResponseFormatTest, AnEmptyGrammarIsNone) {
  for (const char* fields : {R"("ebnf":"")", R"("structured_outputs":{"grammar":""})",
                             R"("ebnf":"","guided_choice":["true"])"}) {
    EXPECT_EQ(Ignored(Send(kRoutes[0], fields)), "") << fields;
    EXPECT_TRUE(Allows("true")) << fields;
  }
  EXPECT_FALSE(Allows("truth"));
}

TEST_F(ResponseFormatTest, WhatWouldChangeTheGrammarButDoesNotIsNamed) {
  for (const auto& route : kRoutes) {
    SCOPED_TRACE(route.first);
    EXPECT_THAT(Ignored(Send(route, R"("guided_json":{},"guided_whitespace_pattern":" ")")),
                HasSubstr("guided_whitespace_pattern"));
    EXPECT_THAT(Ignored(Send(route, R"("structured_outputs":{"json":{},"whitespace_pattern":"",)"
                                    R"("disable_any_whitespace":true,)"
                                    R"("disable_additional_properties":false})")),
                testing::AllOf(HasSubstr("structured_outputs.whitespace_pattern"),
                               HasSubstr("structured_outputs.disable_any_whitespace"),
                               testing::Not(HasSubstr("disable_additional_properties"))));
  }
}

TEST_F(ResponseFormatTest, IntegersBeyond64BitsKeepTheirDigits) {
  for (const auto& route : kRoutes) {
    SCOPED_TRACE(route.first);
    EXPECT_EQ(Ignored(Send(route, R"("guided_json":{"const":18446744073709551617})")), "");
    EXPECT_TRUE(Allows("18446744073709551617"));
    EXPECT_FALSE(Allows("18446744073709551616") || Allows("1.8446744073709552e+19"));
  }
}

TEST_F(ResponseFormatTest, AnyObjectInTgisWords) {
  Answer(Post("/", R"({"inputs":"x","parameters":{"grammar":{"type":"json_object"}}})"));
  EXPECT_TRUE(Allows(R"({"a": 1})"));
  EXPECT_FALSE(Allows("1"));
  const std::string schema = R"({"type":"json_object","value":{"type":"null"}})";
  Answer(Post("/", R"({"inputs":"x","parameters":{"grammar":)" + schema + "}}"));
  EXPECT_TRUE(Allows("null"));
  EXPECT_FALSE(Allows("{}"));
}

TEST_F(ResponseFormatTest, OneFieldHasOneSchema) {
  const auto send = [&](const std::string& fields) {
    return Send(kRoutes[1], R"("response_format":{)" + fields + "}");
  };
  const std::string null = R"({"type":"null"})", boolean = R"({"type":"boolean"})";
  for (const std::string& two :
       {R"("type":"json_object","value":)" + boolean + R"(,"schema":)" + null,
        R"("type":"json_object","schema":)" + boolean + R"(,"json_schema":{"schema":)" + null + "}",
        R"("type":"json_schema","schema":)" + boolean + R"(,"json_schema":{"schema":)" + null +
            "}"}) {
    const HttpReply reply = send(two);
    EXPECT_EQ(reply.status, 400) << two;
    EXPECT_THAT(reply.body, HasSubstr("each say what the answer must be")) << two;
  }
  for (const std::string& one :
       {R"("type":"json_object","json_schema":{"name":"n","schema":)" + null + "}",
        R"("type":"json_object","value":)" + null + R"(,"schema":)" + null,
        R"("type":"json_schema","name":"n","json_schema":{"schema":)" + null + "}",
        R"("type":"json_schema","schema":)" + null + R"(,"json_schema":{"schema":)" + null + "}"}) {
    EXPECT_EQ(Ignored(send(one)), "") << one;
    EXPECT_TRUE(Allows("null")) << one;
    EXPECT_FALSE(Allows("{}")) << one;
  }
}

TEST_F(ResponseFormatTest, AChoiceIsOfAnyNumberOfTexts) {
  std::string texts;
  for (int i = 0; i < 9000; ++i) {
    texts += (i == 0 ? "\"" : ",\"") + std::to_string(i) + (i % 2 == 0 ? "\"" : "\\n\"");
  }
  for (const std::string name : {"guided_choice", "choice"}) {
    std::string field = "\"" + name + "\":[" + texts + "]";
    if (name == "choice") field = R"("structured_outputs":{)" + field + "}";
    EXPECT_EQ(Ignored(Send(kRoutes[0], field)), "");
    EXPECT_TRUE(Allows("8999\n"));
    EXPECT_TRUE(Allows("12"));
    EXPECT_FALSE(Allows("11"));
  }
}

}  // namespace
}  // namespace lockstep
