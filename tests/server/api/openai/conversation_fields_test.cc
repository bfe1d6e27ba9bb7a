// What a chat's request says of its conversation beside the messages.
#include "server/api/openai/conversation_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "server/json/json_text.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr char kChat[] = "/v1/chat/completions";

class ConversationFieldsTest : public testing::Test {
 protected:
  ConversationFieldsTest() { service_.script = "tale"; }
  HttpReply Post(const std::string& path, const std::string& body) {
    return PostJson(router_, path, body);
  }

  FakeService service_;
  Router router_{service_};
};

TEST_F(ConversationFieldsTest, AnAnswerWithoutWordsIsAnEmptyTurn) {
  service_.SetChatTemplate("{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}");
  for (const char* answer :
       {R"("content":null)", R"("refusal":null)", R"("content":null,"tool_calls":null)"}) {
    const HttpReply reply =
        Post(kChat, R"({"messages":[{"role":"user","content":"x"},{"role":"assistant",)" +
                        std::string(answer) + R"(},{"role":"user","content":"y"}]})");
    EXPECT_EQ(reply.status, 200) << answer << reply.body;
    const auto prompt = service_.request(service_.submitted() - 1).prompt;
    EXPECT_EQ(std::string(prompt.begin(), prompt.end()), "[user:x][assistant:][user:y]");
  }
}

// The answer is what is added, unless the whole is asked for.
TEST_F(ConversationFieldsTest, TheLastAnswerGoesOn) {
  service_.SetChatTemplate(kPlain);
  const std::string messages =
      R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"Once, "}])";
  for (const char* fields :
       {"", R"(,"continue_final_message":true)",
        R"(,"continue_final_message":"content","add_generation_prompt":false)"}) {
    const Json answer = Json::parse(Post(kChat, messages + fields + "}").body, nullptr, false);
    EXPECT_EQ(answer["choices"][0]["message"]["content"], "tale") << fields;
    const auto prompt = service_.request(service_.submitted() - 1).prompt;
    EXPECT_THAT(std::string(prompt.begin(), prompt.end()),
                testing::EndsWith("<|im_start|>assistant\nOnce, "));
  }
  const Json echo = Json::parse(Post(kChat, messages + R"(,"echo":true})").body, nullptr, false);
  EXPECT_EQ(echo["choices"][0]["message"]["content"], "Once, tale");
  const HttpReply stream = Post(kChat, messages + R"(,"echo":true,"stream":true})");
  EXPECT_THAT(stream.next().data, HasSubstr(R"("delta":{"role":"assistant","content":"Once, "})"));
  for (const char* fields :
       {R"(,"continue_final_message":false)",
        R"(,"chat_template_kwargs":{"continue_final_message":false,"chat_template":"default"})"}) {
    EXPECT_EQ(Post(kChat, messages + fields + "}").status, 200) << fields;
    const auto prompt = service_.request(service_.submitted() - 1).prompt;
    EXPECT_THAT(std::string(prompt.begin(), prompt.end()),
                HasSubstr("Once, <|im_end|>\n<|im_start|>assistant\n"));
  }
  EXPECT_EQ(Post(kChat, messages + R"(,"continue_final_message":true,)"
                                   R"("chat_template_kwargs":{"continue_final_message":false}})")
                .status,
            400);
  EXPECT_EQ(
      Post(kChat, messages + R"(,"chat_template_kwargs":{"chat_template":"{{ x }}"}})").status,
      400);
  for (const char* fields :
       {R"(,"continue_final_message":true,"add_generation_prompt":true)",
        R"(,"continue_final_message":1)", R"(,"continue_final_message":"yes")"}) {
    const HttpReply reply = Post(kChat, messages + fields + "}");
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(R"("param":"continue_final_message")"));
  }
}

}  // namespace
}  // namespace lockstep
