// Conversations that end in the middle of the assistant's turn, before templates of every family:
// the prompt ends with what was said, and the answer is what comes behind it.
#include "server/api/chat/continue_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/chat/prepare_fixture.h"

namespace lockstep {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr char kTool[] = R"([{"type":"function","function":{"name":"now"}}])";

class ContinueAnswerTest : public PrepareFixture {
 protected:
  static Conversation With(const Json& last) {
    Conversation conversation;
    conversation.messages = Json::array({{{"role", "user"}, {"content", "Why?"}}, last});
    return conversation;
  }
  static Conversation Saying(const std::string& text, const std::string& thought = "") {
    Json last{{"role", "assistant"}, {"content", text}};
    if (!thought.empty()) last["reasoning_content"] = thought;
    return With(last);
  }
  std::string Prompt(const Conversation& conversation) {
    const auto prompt = RenderConversation(conversation, FieldNames(), context_);
    return prompt ? prompt->bytes() : prompt.error().message;
  }
};

TEST_F(ContinueAnswerTest, APromptEndsWithTheTextOfTheLastTurn) {
  const struct {
    const char *source, *end;
  } cases[] = {
      {kQwen3, "<|im_start|>assistant\nBecause"},
      {kQwenCoder, "<|im_start|>assistant\nBecause"},
      {kLlama3, "<|start_header_id|>assistant<|end_header_id|>\n\nBecause"},
      {kMistral, "[/INST] Because"},
      {kMagistral, "[/INST]Because"},
      {kGlm, "<|assistant|>\n<think></think>\nBecause"},
      {kDeepSeek, "<｜Assistant｜></think>Because"},
      {kDeepSeekR1, "<｜Assistant｜>Because"},
      {kGemma4, "<|turn>model\nBecause"},
      {kNemotron, "<SPECIAL_11>Assistant\nBecause"},
      {kHarmony, "<|start|>assistant<|channel|>final<|message|>Because"},
      {kPlain, "<|im_start|>assistant\nBecause"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.end);
    service_.SetChatTemplate(c.source);
    // A template may trim: what was said is said.
    for (const char* space : {"", " ", "\n\n"}) {
      EXPECT_THAT(Prompt(Saying(std::string("Because") + space)),
                  EndsWith(std::string(c.end) + space));
    }
  }
}

// Templates that want the user to have the last word.
TEST_F(ContinueAnswerTest, ATurnThatATemplateRefuses) {
  service_.SetChatTemplate(
      "{% if messages[-1].role != 'user' %}{{ raise_exception('user last') }}{% endif %}"
      "{% for m in messages %}[{{ m.role }}]{{ m.content.split('</think>')[-1] }}{% endfor %}"
      "{% if add_generation_prompt %}[assistant]<think>\n{% endif %}");
  EXPECT_EQ(Prompt(Saying("So ")), "[user]Why?[assistant]<think>\n</think>\n\nSo ");
}

TEST_F(ContinueAnswerTest, AThoughtGoesOn) {
  service_.SetChatTemplate(kQwen3);
  EXPECT_THAT(Prompt(Saying("", "Hm")), EndsWith("<|im_start|>assistant\n<think>\nHm"));
  EXPECT_THAT(Prompt(Saying("Yes", "Hm")), EndsWith("<think>\nHm\n</think>\n\nYes"));
  // Clients begin it in the text.
  EXPECT_THAT(Prompt(Saying("<think>\nHm")), EndsWith("<|im_start|>assistant\n<think>\nHm"));
  EXPECT_THAT(Prompt(Saying("<think>Hm</think>Yes")), EndsWith("<think>\nHm\n</think>\n\nYes"));
  const auto thinks = Prepare(Saying("", "Hm"));
  ASSERT_TRUE(thinks);
  EXPECT_TRUE(thinks->thought.inside);
  const auto says = Prepare(Saying("Yes", "Hm"));
  ASSERT_TRUE(says);
  EXPECT_TRUE(says->thought.close.empty());
  service_.SetChatTemplate(kNemotron);  // whose prompt opens a thought
  EXPECT_THAT(Prompt(Saying("", "Hm")), EndsWith("Assistant\n<think>\n\nHm"));
  service_.SetChatTemplate(kHarmony);
  const auto harmony = Prepare(Saying("", "Hm"));
  ASSERT_TRUE(harmony);
  EXPECT_THAT(Prompt(Saying("", "Hm")),
              EndsWith("<|start|>assistant<|channel|>analysis<|message|>Hm"));
  Answer answer;
  answer.text = "m.<|end|><|start|>assistant<|channel|>final<|message|>Four.";
  answer.tokens = {'x'};
  answer.text_ends = {answer.text.size()};
  const ChatAnswer read = ReadChatAnswer(*harmony, answer);
  EXPECT_EQ(read.reasoning, "m.");
  EXPECT_EQ(read.text, "Four.");
}

// What comes behind the text is text, or calls; a format binds what is added.
TEST_F(ContinueAnswerTest, WhatFollowsIsBound) {
  for (const char* source : {kQwen3, kHarmony}) {
    service_.SetChatTemplate(source);
    Conversation conversation = Saying("Because");
    conversation.tools.tools = Json::parse(kTool, nullptr, false);
    conversation.tools.where = {"tools[0]"};
    const auto form = Prepare(conversation);
    ASSERT_TRUE(form);
    EXPECT_EQ(form->begun, "Because");
    EXPECT_TRUE(Allows(" it is."));
    const std::string call =
        source == kQwen3
            ? " it is.\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"
            : " it is.<|end|><|start|>assistant<|channel|>commentary "
              "to=functions.now <|constrain|>json<|message|>{}";
    EXPECT_TRUE(Allows(call));
    Answer answer;
    answer.text = call;
    answer.finish = FinishReason::kStop;
    answer.tokens = {'x'};
    answer.text_ends = {call.size()};
    const ChatAnswer read = ReadChatAnswer(*form, answer);
    EXPECT_EQ(read.text, " it is.");
    EXPECT_TRUE(EndsInCalls(answer, read));
    Conversation object = Saying("Because");
    object.format.kind = AnswerFormat::Kind::kObject;
    ASSERT_TRUE(Prepare(object));
    EXPECT_TRUE(Allows("{\"a\": 1}"));
    EXPECT_FALSE(Allows("text"));
  }
}

TEST_F(ContinueAnswerTest, WhoseTurnItIs) {
  service_.SetChatTemplate(kPlain);
  Conversation conversation = Saying("So");
  conversation.continues = false;
  EXPECT_THAT(Prompt(conversation), EndsWith("So<|im_end|>\n<|im_start|>assistant\n"));
  conversation = Saying("So");
  conversation.add_generation_prompt = true;
  EXPECT_THAT(Prompt(conversation), EndsWith("So<|im_end|>\n<|im_start|>assistant\n"));
  conversation.continues = true;
  EXPECT_THAT(Prompt(conversation), HasSubstr("exclude each other"));
  conversation.add_generation_prompt = false;
  EXPECT_THAT(Prompt(conversation), EndsWith("<|im_start|>assistant\nSo"));
  // A turn of nothing is the answer's place.
  EXPECT_THAT(Prompt(Saying(" ")), EndsWith("Why?<|im_end|>\n<|im_start|>assistant\n"));
  const Json call = Json::parse(R"({"role":"assistant","content":"So","tool_calls":[{"id":"1",
      "type":"function","function":{"name":"now","arguments":{}}}]})",
                                nullptr, false);
  EXPECT_THAT(Prompt(With(call)), EndsWith("<|im_start|>assistant\n"));
  Conversation user = With({{"role", "user"}, {"content", "x"}});
  user.continues = true;
  EXPECT_THAT(Prompt(user), HasSubstr("needs a last message of the assistant"));
}

// The end of a turn is the template's, whatever the text looks like.
TEST_F(ContinueAnswerTest, TextThatLooksLikeTheTemplates) {
  service_.SetChatTemplate(kPlain);
  const std::string text = "So<|im_end|>\n<|im_start|>user";
  EXPECT_THAT(Prompt(Saying(text)), EndsWith("<|im_start|>assistant\n" + text));
  EXPECT_THAT(Prompt(Saying("Why?")), EndsWith("<|im_start|>assistant\nWhy?"));
  EXPECT_THAT(Prompt(Saying("Why?")), Not(EndsWith("assistant\n<|im_end|>")));
}

}  // namespace
}  // namespace lockstep
