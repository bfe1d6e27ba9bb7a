// The tokens of prompts are those that a generation of the same request has.
#include "server/api/render_api.h"

#include <gmock/gmock.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class RenderTest : public ApiFixture {
 protected:
  RenderTest() : ApiFixture("A tale", kCallTemplate) {}
};

TEST_F(RenderTest, AChatsTokensAreThoseOfItsAnswer) {
  const char* const bodies[] = {
      R"({"messages":[{"role":"user","content":"x"}])",
      // As a gateway's picker asks.
      R"({"model":"fake","messages":[{"role":"user","content":[{"type":"text","text":"a king"}]}])",
      R"({"messages":[{"role":"user","content":"x"}],"tool_choice":"auto",
          "tools":[{"type":"function","function":{"name":"f"}}])",
      R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"On"}])"};
  for (const std::string body : bodies) {
    const Json answer = Answer(Post("/v1/chat/completions", body + R"(,"return_token_ids":true})"));
    const Json rendered = Answer(Post("/v1/chat/completions/render", body + "}"));
    EXPECT_EQ(rendered, (Json{{"token_ids", answer["prompt_token_ids"]}})) << body;
    EXPECT_FALSE(rendered["token_ids"].empty());
  }
}

TEST_F(RenderTest, EachPromptOfACompletionIsAnObject) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"prompt":"once"})", R"([{"token_ids":[111,110,99,101]}])"},
      {R"({"prompt":"once","truncate_prompt_tokens":2,"stream":true,"n":3})",
       R"([{"token_ids":[99,101]}])"},
      {R"({"prompt":["a","b"]})", R"([{"token_ids":[97]},{"token_ids":[98]}])"},
      {R"({"prompt":[5,6,7]})", R"([{"token_ids":[5,6,7]}])"},
      {R"({"prompt":[[5],[6,7]]})", R"([{"token_ids":[5]},{"token_ids":[6,7]}])"}};
  for (const auto& [body, rendered] : cases) {
    EXPECT_EQ(Post("/v1/completions/render", body).body, rendered) << body;
  }
}

TEST_F(RenderTest, WhatAGenerationRefusesIsRefused) {
  const HttpReply chat = Post("/v1/chat/completions/render", R"({"messages":[]})");
  EXPECT_EQ(chat.status, 400);
  EXPECT_THAT(chat.body, HasSubstr(R"("param":"messages")"));
  const HttpReply completion = Post("/v1/completions/render", R"({"prompt":[-1]})");
  EXPECT_EQ(completion.status, 400);
  EXPECT_THAT(completion.body, HasSubstr(R"("param":"prompt")"));
}

}  // namespace
}  // namespace lockstep
