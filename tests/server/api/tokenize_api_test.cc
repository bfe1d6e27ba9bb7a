#include "server/api/tokenize_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

using Answerer = Result<std::string> (*)(const Json& body, ReadContext& context);

Result<std::string> Answer(Answerer answerer, const GenerationService& service,
                           const std::string& body) {
  const ModelNames names;
  ReadContext context{service, names, false, {}};
  return answerer(ParseStrictObject(body).value(), context);
}

TEST(TokenizeApi, LlamaServersWordsAndVllms) {
  const FakeService service;
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"content":"ab^"})", R"({"tokens":[97,98,94],"count":3,"max_model_len":64})"},
      {R"({"content":"a^","parse_special":false,"add_special":true})",
       R"({"tokens":[94,97,63],"count":3,"max_model_len":64})"},
      {R"({"prompt":"a","model":"any"})", R"({"tokens":[94,97],"count":2,"max_model_len":64})"},
      {R"({"prompt":"a","add_special_tokens":false,"return_token_strs":true})",
       R"({"tokens":[97],"count":1,"max_model_len":64,"token_strs":["a"]})"},
      {R"({"content":"a","with_pieces":true,"prompt":null})",
       R"({"tokens":[{"id":97,"piece":"a"}],"count":1,"max_model_len":64})"},
      {R"({"content":""})", R"({"tokens":[],"count":0,"max_model_len":64})"}};
  for (const auto& [request, reply] : kCases) {
    const auto answer = Answer(AnswerTokenize, service, request);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer, reply);
  }
  const auto text = Answer(AnswerDetokenize, service, R"({"tokens":[104,105]})");
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, R"({"content":"hi","prompt":"hi"})");
}

// vLLM's: the prompt of a chat, as its template has it.
TEST(TokenizeApi, TheTokensOfAChat) {
  FakeService service;
  service.SetChatTemplate(
      "{% for m in messages %}{{ m.content }}{% endfor %}"
      "{% if add_generation_prompt %}>{% endif %}");
  const std::pair<const char*, const char*> kCases[] = {
      {R"("model":"any","add_special_tokens":false)", R"([97,62],"count":2,"max_model_len":64})"},
      {R"("add_generation_prompt":false)", R"([97],"count":1,"max_model_len":64})"},
      {R"("return_token_strs":true)",
       R"([97,62],"count":2,"max_model_len":64,"token_strs":["a",">"]})"}};
  for (const auto& [fields, reply] : kCases) {
    const std::string messages = R"({"messages":[{"role":"user","content":"a"}],)";
    const auto answer = Answer(AnswerTokenize, service, messages + fields + "}");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer, std::string(R"({"tokens":)") + reply);
  }
  const std::pair<const char*, const char*> kRefused[] = {
      {R"("prompt":"a")", "prompt"},
      {R"("add_special_tokens":true)", "add_special_tokens"},
      {R"("speical":1)", "speical"}};
  for (const auto& [fields, param] : kRefused) {
    const auto answer =
        Answer(AnswerTokenize, service,
               std::string(R"({"messages":[{"role":"user","content":"a"}],)") + fields + "}");
    ASSERT_FALSE(answer) << fields;
    EXPECT_EQ(answer.error().param, param);
  }
}

// One byte of a character is no text.
TEST(TokenizeApi, PiecesThatAreNotText) {
  class Bytes : public FakeService {
    std::string_view TokenBytes(int32_t) const override { return "\xC3"; }
  };
  const Bytes service;
  EXPECT_THAT(*Answer(AnswerTokenize, service, R"({"content":"a","with_pieces":true})"),
              HasSubstr(R"("piece":[195])"));
}

TEST(TokenizeApi, RefusalsNameTheField) {
  const FakeService service;
  const std::tuple<const char*, const char*, const char*> kCases[] = {
      {"{}", "content is missing", "content"},
      {R"({"content":1})", "content must be a string", "content"},
      {R"({"content":"a","prompt":"b"})", "prompt and content are both there", "prompt"},
      {R"({"content":"a","add_special":1})", "add_special must be true or false", "add_special"},
      {R"({"content":"a","speical":true})", "speical", "speical"}};
  for (const auto& [request, message, param] : kCases) {
    const auto answer = Answer(AnswerTokenize, service, request);
    ASSERT_FALSE(answer) << request;
    EXPECT_EQ(answer.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(answer.error().message, HasSubstr(message));
    EXPECT_EQ(answer.error().param, param);
  }
  for (const char* request :
       {"{}", R"({"tokens":"a"})", R"({"tokens":[1,"a"]})", R"({"tokens":[128]})",
        R"({"tokens":[-1]})", R"({"tokens":[1.5]})", R"({"tokens":[18446744073709551615]})"}) {
    const auto answer = Answer(AnswerDetokenize, service, request);
    ASSERT_FALSE(answer) << request;
    EXPECT_EQ(answer.error().param, "tokens");
  }
}

TEST(TokenizeApi, Routes) {
  FakeService service;
  const Router router(service);
  constexpr char kText[] = R"({"content":"a"})";
  HttpRequest untyped = JsonRequest("/tokenize", kText);
  untyped.headers.clear();
  EXPECT_EQ(router.Handle(untyped).status, 415);
  EXPECT_THAT(PostJson(router, "/tokenize", kText).body, HasSubstr("[97]"));
  EXPECT_EQ(PostJson(router, "/detokenize", kText).status, 400);
  EXPECT_THAT(PostJson(router, "/detokenize", R"({"tokens":[97]})").body,
              HasSubstr(R"("content":"a")"));
}

}  // namespace
}  // namespace lockstep
