// What a chat's request may say of thinking, and where the thoughts of its answer are.
#include "server/api/openai/thinking_fields.h"

#include <gmock/gmock.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class ThinkingFieldsTest : public ApiFixture {
 protected:
  ThinkingFieldsTest() : ApiFixture("tale") {}

  HttpReply Chat(const std::string& fields) { return Post("/v1/chat/completions", With(fields)); }
  std::string Prompt(const std::string& fields) {
    return Answer(Post("/apply-template", With(fields)))["prompt"].get<std::string>();
  }

 private:
  static std::string With(const std::string& fields) {
    return R"({"messages":[{"role":"user","content":"x"}],)" + fields + "}";
  }
};

TEST_F(ThinkingFieldsTest, EffortIsMappedToWhatTheTemplateKnows) {
  const auto prompt = [this](const char* chat_template, const char* effort) {
    service_.SetChatTemplate(chat_template);
    return Prompt(std::string(R"("reasoning_effort":")") + effort + "\"");
  };
  EXPECT_EQ(prompt("{{ reasoning_effort }}", "low"), "low");
  EXPECT_EQ(prompt("{{ enable_thinking }}", "minimal"), "False");
  EXPECT_EQ(prompt("{{ enable_thinking }}", "high"), "True");
  service_.SetChatTemplate("{{ messages[0].content }}");
  EXPECT_EQ(Ignored(Chat(R"("reasoning_effort":"low")")), "reasoning_effort");
}

// Under all names that clients have for it.
TEST_F(ThinkingFieldsTest, WishesOfThinking) {
  service_.SetChatTemplate("{{ enable_thinking }}<think></think>");
  const auto budget = [&](const std::string& field) {
    EXPECT_EQ(Ignored(Chat(field)), "") << field;
    const ThoughtLimit limit = LastOptions().thought;
    return limit.close.empty() ? std::optional<size_t>() : limit.budget;
  };
  for (const char* field :
       {R"("thinking_token_budget":7)", R"("reasoning_budget_tokens":7)",
        R"("reasoning":{"max_tokens":7})", R"("thinking":{"type":"enabled","budget_tokens":7})"}) {
    EXPECT_EQ(budget(field), 7u) << field;
  }
  EXPECT_EQ(budget(R"("reasoning_effort":"low")"), 1024u);
  EXPECT_EQ(budget(R"("reasoning":{"effort":"low"})"), 1024u);
  EXPECT_EQ(budget(R"("reasoning_budget_tokens":-1)"), std::nullopt);
  EXPECT_EQ(budget(R"("reasoning_effort":"high")"), std::nullopt);
  for (const char* field : {R"("enable_thinking":false)", R"("reasoning_effort":"none")",
                            R"("reasoning":{"enabled":false})", R"("thinking":{"type":"disabled"})",
                            R"("chat_template_kwargs":{"enable_thinking":false})"}) {
    EXPECT_EQ(Prompt(field), "False<think></think>") << field;
  }
  EXPECT_EQ(Ignored(Chat(R"("include_reasoning":false,"reasoning":{"exclude":true})")), "");
}

// Apart from the text, whole and streamed, and counted.
TEST_F(ThinkingFieldsTest, ThoughtsAreFieldsOfTheirOwn) {
  service_.SetChatTemplate("{{ messages[0].content }}<think>\n{# ends in </think> #}");
  service_.script = "a b\n</think>\n\nc";
  service_.script_end = FinishReason::kStop;
  const Json answer = Answer(Chat(R"("seed":1)"));
  EXPECT_EQ(answer["choices"][0]["message"].dump(),
            R"({"role":"assistant","content":"c","refusal":null,"reasoning_content":"a b",)"
            R"("reasoning":"a b"})");
  EXPECT_EQ(answer["usage"]["completion_tokens_details"].dump(), R"({"reasoning_tokens":12})");
  const std::string events = Read(Chat(R"("stream":true,"stream_options":{"include_usage":true})"));
  EXPECT_THAT(events, HasSubstr(R"("delta":{"reasoning_content":"a","reasoning":"a"})"));
  EXPECT_THAT(events, HasSubstr(R"("delta":{"content":"c"})"));
  EXPECT_THAT(events, HasSubstr(R"("completion_tokens_details":{"reasoning_tokens":12})"));
  EXPECT_THAT(events, testing::Not(HasSubstr("think")));
  // Or not at all, where nobody wants them.
  for (const std::string field :
       {R"("include_reasoning":false)", R"("reasoning":{"exclude":true})"}) {
    EXPECT_EQ(Answer(Chat(field))["choices"][0]["message"].dump(),
              R"({"role":"assistant","content":"c","refusal":null})");
    const std::string pieces = Read(Chat(field + R"(,"stream":true)"));
    EXPECT_THAT(pieces, testing::Not(HasSubstr("reasoning")));
    EXPECT_THAT(pieces, HasSubstr(R"("delta":{"content":"c"})"));
  }
}

}  // namespace
}  // namespace lockstep
