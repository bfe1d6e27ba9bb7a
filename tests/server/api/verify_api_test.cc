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

TEST_F(VerifyTest, AllAnswersOfABodyAreTheModels) {
  const std::string messages = R"("messages":[{"role":"user","content":"x"}])";
  const std::pair<const char*, std::string> requests[] = {
      {"/v1/completions", R"({"prompt":["x","y"],"n":2})"},
      {"/v1/completions", R"({"prompt":["x","x"],"seed":7})"},
      {"/v1/completions", R"({"prompt":"x","n":2,"best_of":3})"},
      {"/v1/completions", R"({"prompt":"x","n":2,"best_of":3,"seed":-7})"},
      {"/v1/chat/completions", R"({"n":3,)" + messages + "}"},
      {"/completion", R"({"prompt":["x","y"]})"},
      {"/completion", R"({"prompt":["x","y"],"n_cmpl":2})"},
      {"/generate", R"({"inputs":"x","parameters":{"best_of":2,"do_sample":true}})"},
      {"/generate", R"({"inputs":"x","parameters":{"best_of":2,"do_sample":true,"details":true}})"},
      {"/", R"({"inputs":"x","parameters":{"best_of":2,"seed":3,"do_sample":true,)"
            R"("details":true}})"},
  };
  for (const auto& [route, body] : requests) {
    Json json = Case(route, body);
    const Json whole = Verify(json);
    EXPECT_EQ(whole["verified"], true) << route << " " << body << " " << Dump(whole);
    EXPECT_FALSE(whole.contains("unchecked")) << Dump(whole);
    Json& answer = json["answer"];
    Json& list = answer.contains("choices") ? answer["choices"] : answer;
    if (!list.is_array() || list.size() < 2) continue;
    EXPECT_EQ(whole["tokens"], 6 * list.size());
    for (Json& choice : list) {
      choice.erase("receipt");
      choice.erase("seed");
    }
    EXPECT_EQ(Verify(json)["verified"], true) << route << " " << body;
    (list[1].contains("text") ? list[1]["text"] : list[1]["content"]) = "A tall";
    if (list[1].contains("message")) list[1]["message"]["content"] = "A tall";
    if (Verify(json).contains("unchecked")) continue;  // best_of without a seed: below
    EXPECT_EQ(Verify(json)["verified"], false) << route << " " << body;
    EXPECT_EQ(Verify(json)["choice"], 1);
  }
}

TEST_F(VerifyTest, AnyChoiceThatWasChangedIsNamed) {
  Json body = Case("/v1/completions", R"({"prompt":"x","n":3,"return_token_ids":true})");
  body["answer"]["choices"][2]["token_ids"][3] = 'b';
  Json json = Verify(body);
  EXPECT_EQ(json["verified"], false);
  EXPECT_EQ(json["choice"], 2);
  EXPECT_EQ(json["index"], 3);
  EXPECT_THAT(json["message"].get<std::string>(), HasSubstr("token 3 of choice 2 is 98"));
  body["index"] = 1;
  EXPECT_EQ(Verify(body)["verified"], true);
  body["index"] = 2;
  EXPECT_EQ(Verify(body)["verified"], false);
  body.erase("index");
  // A copy of another one is none of the request's.
  body["answer"]["choices"][2] = body["answer"]["choices"][1];
  Differs(body, "answer", "two of the choices are the same one");
  body["answer"]["choices"][2] = {{"index", 7}, {"text", "A tale"}};
  Differs(body, "answer", "3 choices, and there are more");
  body["answer"]["choices"].erase(2);
  EXPECT_EQ(Verify(body)["verified"], true);  // those that were kept
}

TEST_F(VerifyTest, AnAnswerThatBestOfDidNotChooseIsComparedToo) {
  Json body = Case("/generate",
                   R"({"inputs":"x","parameters":{"best_of":2,"do_sample":true,"details":true}})");
  ASSERT_EQ(body["answer"]["details"]["best_of_sequences"].size(), 1u) << Dump(body);
  body["answer"]["details"]["best_of_sequences"][0]["generated_text"] = "A tall";
  Differs(body, "answer", "details.best_of_sequences[0].generated_text differs from byte 5 on");
  body["answer"]["details"]["best_of_sequences"][0].erase("seed");
  const Json json = Verify(body);
  EXPECT_EQ(json["verified"], true) << Dump(json);
  EXPECT_EQ(json["unchecked"], Json::array({"details.best_of_sequences"}));
}

// The header's receipt is of the first, and which seeds were drawn for the others it does not say.
TEST_F(VerifyTest, AChoiceThatNothingSaysHowToMakeIsUnchecked) {
  Json body = Case("/v1/completions", R"({"prompt":"x","n":2,"best_of":3})");
  body["answer"]["choices"][1].erase("receipt");
  const Json json = Verify(body);
  EXPECT_EQ(json["verified"], true) << Dump(json);
  EXPECT_EQ(json["unchecked"], Json::array({"choices[1]"}));
}

TEST_F(VerifyTest, AReceiptWithASeedThatTheRequestHasNotDiffers) {
  Json body = Case("/v1/completions", R"({"prompt":"x","seed":7})");
  body["receipt"]["seed"] = 8;
  Differs(body, "receipt", "none of the request's");
}

// Where the answer says it, by its receipt, by the request or by itself.
TEST_F(VerifyTest, ASeedThatWasChangedIsNamed) {
  const std::string messages = R"("messages":[{"role":"user","content":"x"}])";
  const std::pair<const char*, std::string> requests[] = {
      {"/generate", R"({"prompt":"x"})"},
      {"/generate", R"({"inputs":"x","parameters":{"details":true}})"},
      {"/v1/completions", R"({"prompt":"x","seed":-1})"},
      {"/completion", R"({"prompt":"x"})"},
      {"/v1/responses", R"({"input":"x","seed":18446744073709551615})"},
      {"/api/chat", R"({"model":"m","stream":false,)" + messages + "}"},
      {"/v1/messages", R"({"max_tokens":9,)" + messages + "}"},
      {"/v1/chat/completions", R"({"temperature":0,)" + messages + "}"},
  };
  for (const auto& [route, request] : requests) {
    Json body = Case(route, request);
    EXPECT_EQ(Verify(body)["verified"], true) << route << Dump(Verify(body));
    Json& answer = body["answer"];
    Json& said = answer.contains("choices")               ? answer["choices"][0]
                 : answer.contains("details")             ? answer["details"]
                 : answer.contains("generation_settings") ? answer["generation_settings"]
                                                          : answer;
    ASSERT_TRUE(said.contains("seed")) << route;
    said["seed"] = 12345;
    Differs(body, "answer", "seed is 12345, and the model gives ");
  }
  // Nothing is left to chance, so that any seed may have been drawn.
  Json body = Case("/v1/completions", R"({"prompt":"x","n":2,"temperature":0})");
  body.erase("receipt");
  for (Json& choice : body["answer"]["choices"]) choice.erase("receipt");
  EXPECT_EQ(Verify(body)["verified"], true) << Dump(Verify(body));
  body["answer"]["choices"][1]["seed"] = 12345;
  Differs(body, "answer", "choices[1].seed is 12345, and the model gives ");
}

TEST_F(VerifyTest, AReceiptOfAnotherPlaceDiffers) {
  Json body = Case("/v1/completions", R"({"prompt":["x","y"],"n":2})");
  EXPECT_EQ(Verify(body)["verified"], true);
  body["answer"]["choices"][1]["index"] = 0;
  Differs(body, "receipt", "the receipt is of another choice than that of index 0");
  body["answer"]["choices"][1]["index"] = 3;
  Differs(body, "receipt", "the receipt is of another choice than that of index 3");
}

TEST_F(VerifyTest, AnArgumentThatWasChangedIsNamed) {
  service_.script =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"n\": -3, \"b\": true, "
      "\"l\": [1, null]}}\n</tool_call>";
  const std::string schema = R"({"type":"object","properties":{"n":{},"b":{},"l":{}}})";
  Json body = Case("/v1/messages", R"({"max_tokens":99,"messages":[{"role":"user","content":"x"}],)"
                                   R"("tools":[{"name":"add","input_schema":)" +
                                       schema + "}]}");
  ASSERT_EQ(body["answer"]["content"][0]["type"], "tool_use") << Dump(body);
  EXPECT_EQ(Verify(body)["verified"], true) << Dump(Verify(body));
  const std::pair<const char*, const char*> changes[] = {
      {R"({"n":4,"b":true,"l":[1,null]})", "content[0].input.n is 4, and the model gives -3"},
      {R"({"n":-3,"b":false,"l":[1,null]})", "input.b is false, and the model gives true"},
      {R"({"n":-3,"b":true})", "input.l is none, and the model gives [1,null]"},
      {R"({"n":-3,"b":true,"l":[1,null],"z":null})", "input.z is null, and the model gives none"},
      {R"({"n":-3,"b":true,"l":[1]})", "input.l is [1], and the model gives [1,null]"},
      {R"({"n":"-3","b":true,"l":[1,null]})", "input.n is \"-3\", and the model gives -3"},
  };
  for (const auto& [input, message] : changes) {
    body["answer"]["content"][0]["input"] = *ParseStrictObject(input);
    Differs(body, "answer", message);
  }
}

TEST_F(VerifyTest, ALogprobThatWasChangedIsNamed) {
  Json body = Case("/v1/chat/completions",
                   R"({"messages":[{"role":"user","content":"x"}],"logprobs":true})");
  EXPECT_EQ(Verify(body)["verified"], true);
  body["answer"]["choices"][0]["logprobs"]["content"][1]["logprob"] = -0.75;
  Differs(body, "answer", "choices[0].logprobs.content[1].logprob is -0.75, and the model gives ");
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
