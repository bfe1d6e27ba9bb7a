// Answers that are checked: those of every dialect as they came, and what is said of one that was
// changed.
#include "server/api/verify_api.h"

#include <gmock/gmock.h>

#include "server/json/json_text.h"
#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class VerifyTest : public ApiFixture {
 protected:
  VerifyTest() : ApiFixture("A tale", kCallTemplate) {}

  // The body that checks the answer to a request that was sent.
  Json Case(const std::string& route, const std::string& body) {
    const HttpReply reply = Post(route, body);
    const std::string receipt(FindHeader(reply.headers, "x-lockstep-receipt"));
    return {{"route", route},
            {"request", *ParseStrictObject(body)},
            {"receipt", *ParseStrictObject(receipt)},
            {"answer", Answer(reply)}};
  }
  Json Verify(const Json& body) { return Answer(Post("/verify", Dump(body))); }
  void Differs(const Json& body, const char* what, const char* message) {
    const Json json = Verify(body);
    EXPECT_EQ(json["verified"], false) << Dump(json);
    EXPECT_EQ(json["differs"], what) << Dump(json);
    EXPECT_THAT(json["message"].get<std::string>(), HasSubstr(message));
  }
  void Refused(const Json& body, const char* param, const char* message) {
    const HttpReply reply = Post("/verify", Dump(body));
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr("\"param\":\"" + std::string(param) + "\""));
    EXPECT_THAT(reply.body, HasSubstr(message));
  }
};

TEST_F(VerifyTest, AnswersOfEveryDialectAreTheModels) {
  const std::string messages = R"("messages":[{"role":"user","content":"x"}])";
  const std::pair<const char*, std::string> requests[] = {
      {"/generate", R"({"prompt":"x"})"},
      {"/generate", R"({"inputs":"x"})"},
      {"/v1/completions", R"({"prompt":"x"})"},
      {"/v1/completions", R"({"prompt":[1,2],"return_token_ids":true,"echo":true})"},
      {"/completion", R"({"prompt":"x","return_tokens":true})"},
      {"/v1/responses", R"({"input":"x"})"},
      {"/api/generate", R"({"model":"m","prompt":"x","stream":false})"},
      {"/api/chat", R"({"model":"m","stream":false,)" + messages + "}"},
      {"/v1/messages", R"({"max_tokens":9,)" + messages + "}"},
      {"/v1/chat/completions", "{" + messages + "}"},
      {"/v1/chat/completions", R"({"seed":-7,)" + messages + "}"},
  };
  for (const auto& [route, body] : requests) {
    const Json json = Verify(Case(route, body));
    EXPECT_EQ(json["verified"], true) << route << " " << body << " " << Dump(json);
    EXPECT_EQ(json["tokens"], 6);
    EXPECT_EQ(json["system_fingerprint"], "ls1-0123456789abcdef");
  }
}

// It is drawn where the request has none; and only the answer in question is made.
TEST_F(VerifyTest, TheReceiptSaysWhichAnswerItWas) {
  Json body = Case("/v1/completions", R"({"prompt":["x","y"],"n":2})");
  body.erase("receipt");  // each choice has its own
  body["index"] = 3;
  const size_t before = service_.submitted();
  EXPECT_EQ(Verify(body)["verified"], true);
  ASSERT_EQ(service_.submitted(), before + 1);
  const Job job = service_.request(before);
  EXPECT_EQ(service_.Decode(job.prompt), "y");
  EXPECT_EQ(job.options.sampling.seed, body["answer"]["choices"][3]["seed"]);
}

TEST_F(VerifyTest, ATokenThatWasChangedIsNamed) {
  Json body = Case("/generate", R"({"prompt":"x"})");
  body["answer"]["tokens"][3] = 'b';
  const Json json = Verify(body);
  EXPECT_EQ(json["verified"], false);
  EXPECT_EQ(json["differs"], "answer");
  EXPECT_EQ(json["index"], 3);
  EXPECT_EQ(json["expected"], (Json{{"token", 'a'}, {"text", "a"}}));
  EXPECT_EQ(json["got"], (Json{{"token", 'b'}, {"text", "b"}}));
  // The rest need not be made, and what is made is guessed from what is claimed.
  EXPECT_TRUE(service_.cancelled(service_.submitted() - 1));
  EXPECT_EQ((*LastOptions().prediction)[3], 'b');
}

TEST_F(VerifyTest, AnAnswerThatWasCutOrWentOnIsNamed) {
  Json body = Case("/generate", R"({"prompt":"x"})");
  body["answer"]["tokens"].push_back('b');
  EXPECT_EQ(Verify(body)["index"], 6);
  EXPECT_EQ(Verify(body)["expected"], nullptr);
  body["answer"]["tokens"].erase(6);
  body["answer"]["tokens"].erase(5);
  EXPECT_EQ(Verify(body)["index"], 5);
  EXPECT_EQ(Verify(body)["got"], nullptr);
}

TEST_F(VerifyTest, ATextThatWasChangedIsNamed) {
  Json body = Case("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}]})");
  body["answer"]["choices"][0]["message"]["content"] = "A tall";
  const Json json = Verify(body);
  EXPECT_EQ(json["differs"], "answer");
  EXPECT_THAT(json["message"].get<std::string>(),
              HasSubstr("choices[0].message.content differs from byte 5 on"));
  EXPECT_EQ(json["index"], 5);
  EXPECT_EQ(json["expected"]["text"], "e");
  body.erase("answer");
  body["text"] = "A tail";
  EXPECT_EQ(Verify(body)["index"], 4);
}

TEST_F(VerifyTest, AnAnswerOfWhichSomethingIsGoneIsNamed) {
  Json body = Case("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}]})");
  body["answer"]["choices"][0]["message"].erase("content");
  Differs(body, "answer", "choices[0].message.content differs from byte 0 on");
  body["answer"].erase("choices");
  Differs(body, "answer", "choices differs from byte 0 on");
}

TEST_F(VerifyTest, AnAnswerWithoutItsThoughtsIsTheModelsAndSaysSo) {
  service_.SetChatTemplate("{{ messages[0].content }}<think>\n{# ends in </think> #}");
  service_.script = "a b\n</think>\n\nc";
  service_.script_end = FinishReason::kStop;
  Json body = Case("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}]})");
  EXPECT_FALSE(Verify(body).contains("unchecked"));
  Json& message = body["answer"]["choices"][0]["message"];
  message.erase("reasoning_content");
  EXPECT_FALSE(Verify(body).contains("unchecked"));  // it has it under its other name
  message.erase("reasoning");
  const Json json = Verify(body);
  EXPECT_EQ(json["verified"], true) << Dump(json);
  EXPECT_EQ(json["unchecked"], Json::array({"choices[0].message.reasoning_content"}));
  message["reasoning"] = "a c";
  Differs(body, "answer", "choices[0].message.reasoning differs from byte 2 on");

  body = Case("/v1/messages", R"({"max_tokens":99,"thinking":{"type":"enabled",)"
                              R"("budget_tokens":50},"messages":[{"role":"user","content":"x"}]})");
  ASSERT_EQ(body["answer"]["content"].size(), 2u) << Dump(body);
  EXPECT_FALSE(Verify(body).contains("unchecked"));
  body["answer"]["content"].erase(0);
  EXPECT_EQ(Verify(body)["unchecked"], Json::array({"content[0]"})) << Dump(Verify(body));
}

TEST_F(VerifyTest, AReceiptMayBeTheHeadersText) {
  Json body = Case("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}]})");
  body["receipt"] = Dump(body["receipt"]);
  EXPECT_EQ(Verify(body)["verified"], true);
  body.erase("answer");
  EXPECT_EQ(Verify(body)["verified"], true);
}

TEST_F(VerifyTest, WhatElseDiffersIsNamed) {
  const Json body =
      Case("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"seed":3})");
  Json other = body;
  other["receipt"]["system_fingerprint"] = "ls3-f";
  Differs(other, "model", "the answer is of \"ls3-f\", and this is ls1-0123456789abcdef");
  other = body;
  other["request"]["temperature"] = 0.5;
  Differs(other, "request", "another request");
  other = body;
  other["receipt"]["answer"] = "00";
  Differs(other, "receipt", "the receipt is of another one");
  other.erase("answer");
  Differs(other, "receipt", "send the answer's tokens or text");
  service_.SetChatTemplate("other {{ messages[0].content }}");
  Differs(body, "prompt", "another prompt");
}

TEST_F(VerifyTest, ASeedDoesWithoutAReceipt) {
  const Json body{{"route", "/generate"}, {"text", "A tale"}};
  Json asked = body;
  asked["request"] = {{"prompt", "x"}, {"seed", 7}};
  EXPECT_EQ(Verify(asked)["seed"], 7);
  asked["request"] = {{"prompt", "x"}, {"temperature", 0}};
  EXPECT_EQ(Verify(asked)["verified"], true);
  asked["request"] = {{"prompt", "x"}};
  Refused(asked, "receipt", "the request has no seed");
}

TEST_F(VerifyTest, WhatCannotBeCheckedIsRefused) {
  const Json body = Case("/generate", R"({"prompt":"x"})");
  Json wrong = body;
  wrong.erase("route");
  Refused(wrong, "route", "the path that the request was sent to");
  wrong = body;
  wrong["route"] = "/v1/embeddings";
  Refused(wrong, "route", "is no route that generates");
  wrong = body;
  wrong["request"] = "x";
  Refused(wrong, "request", "its body");
  wrong["request"] = {{"prompt", ""}};
  wrong.erase("receipt");
  wrong["answer"].erase("receipt");
  Refused(wrong, "prompt", "is empty");
  wrong = body;
  wrong["receipt"] = {{"seed", 1}};
  Refused(wrong, "receipt", "as it came with the answer");
  wrong = body;
  wrong["tokens"] = {1, 2, 999};
  Refused(wrong, "tokens", "tokens[2] must be a token id from 0 to 127");
  wrong = body;
  wrong["index"] = 1;
  wrong["answer"]["choices"] = Json::array({Json::object()});
  Refused(wrong, "index", "no choice of that index");
  for (const Json& answer : {Json("A tale"), Json::array(), Json::object(), Json(7)}) {
    wrong = body;
    wrong["answer"] = answer;
    Refused(wrong, "answer", "answer must be what the request was answered with");
  }
  Refused({{"route", "/generate"}, {"request", {{"prompt", "x"}, {"seed", 7}}}}, "answer",
          "there is nothing to verify");
}

}  // namespace
}  // namespace lockstep
