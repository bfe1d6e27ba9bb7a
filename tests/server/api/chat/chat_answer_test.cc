// Answers of every family, as their templates render them, read in pieces of every size.
#include "server/api/chat/chat_answer.h"

#include <gtest/gtest.h>

#include "tests/server/generation/chat_templates.h"

namespace lockstep {
namespace {

Answer AnswerOf(std::string_view text, size_t piece) {
  Answer answer;
  answer.text = text;
  answer.finish = FinishReason::kStop;
  for (size_t end = 0; end < text.size();) {
    end = std::min(end + piece, text.size());
    answer.tokens.push_back('x');
    answer.text_ends.push_back(end);
  }
  return answer;
}

ChatForm FormOf(const char* source, bool inside = false) {
  const AnswerForms forms = ChatModelOf(source).forms;
  ChatForm form{forms.calls, nullptr, forms.thought, forms.harmony};
  form.thought.inside = inside;
  form.strings =
      std::make_shared<const StringParameters>(StringParameters{{"f", {"path"}}, {"get.it", {}}});
  return form;
}

struct Example {
  const char* source;
  std::string answer, reasoning, text;
  std::vector<std::string> calls;  // name arguments
  bool inside = false;
};

const Example kExamples[] = {
    {kQwen3, "<think>\nSo.\n\nYes.\n</think>\n\nFour <b>.", "So.\n\nYes.", "Four <b>.", {}},
    {kQwen3, "\n\nFour", "", "\n\nFour", {}},
    {kQwen3,
     "Wait \n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"path\": \"}\"}}\n</tool_call>\n"
     "<tool_call>\n{\"name\": \"get.it\", \"arguments\": {}}\n</tool_call>",
     "",
     "Wait",
     {"f {\"path\": \"}\"}", "get.it {}"}},
    {kQwen3,
     "<think>a</think>\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
     "a",
     "",
     {"f {}"}},
    {kQwen3, "a <think>b</think> <tool", "", "a <think>b</think> <tool", {}},
    {kNemotron,
     "So.\n</think>\n\n<TOOLCALL>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, "
     "{\"name\": \"get.it\", \"arguments\": {}}]</TOOLCALL>",
     "So.",
     "",
     {"f {\"a\": 1}", "get.it {}"},
     true},
    {kQwenCoder,
     "I see.\n<tool_call>\n<function=f>\n<parameter=path>\na\n\"b\"\n</parameter>\n"
     "<parameter=n>\n[1, 2]\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n"
     "<function=get.it>\n</function>\n</tool_call>",
     "",
     "I see.",
     {"f {\"path\": \"a\\n\\\"b\\\"\", \"n\": [1, 2]}", "get.it {}"}},
    {kGlm,
     "\n<think>Hm</think>\n<tool_call>f\n<arg_key>path</arg_key>\n<arg_value>5</arg_value>\n"
     "<arg_key>n</arg_key>\n<arg_value>5</arg_value>\n</tool_call>",
     "Hm",
     "",
     {"f {\"path\": \"5\", \"n\": 5}"}},
    {kLlama3, "{\"name\": \"f\", \"parameters\": {\"x\": 1}}", "", "", {"f {\"x\": 1}"}},
    {kLlama3, "Say {\"name\": \"f\"}", "", "Say {\"name\": \"f\"}", {}},
    {kMistral,
     "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}, \"id\": \"abcdefGH9\"}, "
     "{\"name\": \"get.it\", \"arguments\": {\"b\": 2}}]",
     "",
     "",
     {"f {}", "get.it {\"b\": 2}"}},
    {kMagistral,
     "[THINK]Hm.[/THINK]Yes.[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]get.it[ARGS]{\"b\": 2}",
     "Hm.",
     "Yes.",
     {"f {}", "get.it {\"b\": 2}"}},
    {kDeepSeek,
     "Thus</think>Yes<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}"
     "<｜tool▁call▁end｜><｜tool▁call▁begin｜>get.it<｜tool▁sep｜>{}<｜tool▁call▁end｜>"
     "<｜tool▁calls▁end｜>",
     "Thus",
     "Yes",
     {"f {\"a\": 1}", "get.it {}"},
     true},
    {kGemma4,
     "<|channel>thought\nHm<channel|><|tool_call>call:f{n:[1,2],path:<|\"|>a}b<|\"|>}<tool_call|>"
     "<|tool_call>call:get.it{}<tool_call|>",
     "Hm",
     "",
     {"f {\"n\": [1,2], \"path\": \"a}b\"}", "get.it {}"}},
    {kLfm2,
     "<think>Hm</think>Sure<|tool_call_start|>[f(path='a, b', n=2), get.it()]<|tool_call_end|>",
     "Hm",
     "Sure",
     {"f {\"path\": \"a, b\", \"n\": 2}", "get.it {}"}},
    {kHarmony,
     "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Four.",
     "Hm.",
     "Four.",
     {}},
    {kHarmony,
     "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.f <|constrain|>json<|message|>{\"a\": 1}",
     "Hm.",
     "",
     {"f {\"a\": 1}"}},
    {kHarmony,
     " to=functions.get.it<|channel|>commentary json<|message|>{}",
     "",
     "",
     {"get.it {}"}},
    {kHarmony, "Plain", "", "Plain", {}},
    {kPlain, "Only <text>", "", "Only <text>", {}},
};

TEST(ChatAnswer, EveryFamilyIsTakenApart) {
  for (const Example& c : kExamples) {
    for (const size_t piece : {1, 2, 3, 7, 1000}) {
      SCOPED_TRACE(c.answer + " " + std::to_string(piece));
      // Characters are never split.
      if (piece != 1000 && c.source == kDeepSeek) continue;
      const Answer answer = AnswerOf(c.answer, piece);
      const ChatAnswer read = ReadChatAnswer(FormOf(c.source, c.inside), answer);
      EXPECT_EQ(read.reasoning, c.reasoning);
      EXPECT_EQ(read.text, c.text);
      std::vector<std::string> calls;
      for (const ChatCall& call : read.calls) {
        EXPECT_TRUE(call.whole);
        EXPECT_EQ(call.id.size() == 9, c.source == kMistral || c.source == kMagistral);
        calls.push_back(call.name + " " + call.arguments);
      }
      EXPECT_EQ(calls, c.calls);
      EXPECT_EQ(EndsInCalls(answer, read), !c.calls.empty());
      // One token that is all of an answer may count for either.
      const bool thinks = piece == 1000 ? read.reasoning_tokens > 0 : !c.reasoning.empty();
      EXPECT_EQ(read.reasoning_tokens > 0, thinks);
    }
  }
}

// What was cut off is told as far as it came, and is no call that may be run.
TEST(ChatAnswer, CutOff) {
  const ChatForm form = FormOf(kQwen3);
  const Answer call = AnswerOf("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\"", 1);
  const ChatAnswer read = ReadChatAnswer(form, call);
  ASSERT_EQ(read.calls.size(), 1u);
  EXPECT_EQ(read.calls[0].arguments, "{\"a\"");
  EXPECT_FALSE(EndsInCalls(call, read));
  EXPECT_EQ(ReadChatAnswer(form, AnswerOf("<think>half a", 3)).reasoning, "half a");
  EXPECT_EQ(ReadChatAnswer(form, AnswerOf("text <tool", 3)).text, "text <tool");
  Answer whole = AnswerOf("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", 1);
  whole.finish = FinishReason::kLength;
  EXPECT_FALSE(EndsInCalls(whole, ReadChatAnswer(form, whole)));
}

TEST(ChatAnswer, TokensOfAThought) {
  // "abc", "d</", "thi", "nk>" and "e": four of the thought, and one of the text.
  EXPECT_EQ(ReadChatAnswer(FormOf(kQwen3, true), AnswerOf("abcd</think>e", 3)).reasoning_tokens,
            4u);
}

}  // namespace
}  // namespace lockstep
