// Conversations before templates of every family: what the model is told, what binds its answer,
// and that its answer, sent back, is rendered as it was written.
#include "server/api/chat/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/chat/prepare_fixture.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Json Parsed(const std::string& text) { return Json::parse(text, nullptr, false); }

const Json kTools = Parsed(R"([
  {"type":"function","function":{"name":"read","parameters":{"type":"object","properties":{
    "path":{"type":"string"},"count":{"type":"integer"}},"required":["path"]}}},
  {"type":"function","function":{"name":"now"}}])");

class PrepareChatTest : public PrepareFixture {
 protected:
  Conversation User(bool tools = false) {
    Conversation conversation;
    conversation.messages = Parsed(R"([{"role":"user","content":"x"}])");
    if (tools) {
      conversation.tools.tools = kTools;
      conversation.tools.where = {"tools[0]", "tools[1]"};
    }
    return conversation;
  }
  std::string Render(const Conversation& conversation) {
    context_.ignored.clear();
    return RenderConversation(conversation, FieldNames(), context_).value().bytes();
  }
};

struct Family {
  const char *source, *call, *two, *wrong;
};
const Family kFamilies[] = {
    {kQwen3,
     "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\", \"count\": "
     "2}}\n</tool_call>",
     "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n"
     "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>",
     "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": 1}}\n</tool_call>"},
    {kQwenCoder,
     "<tool_call>\n<function=read>\n<parameter=path>\na\nb\n</parameter>\n<parameter=count>\n2\n"
     "</parameter>\n</function>\n</tool_call>",
     "<tool_call>\n<function=now>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n</"
     "function>\n</tool_call>",
     "<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n<parameter=count>\ntwo\n</"
     "parameter>\n"
     "</function>\n</tool_call>"},
    {kGlm,
     "<tool_call>read\n<arg_key>path</arg_key>\n<arg_value>a</arg_value>\n<arg_key>count</"
     "arg_key>\n"
     "<arg_value>2</arg_value>\n</tool_call>",
     "<tool_call>now\n</tool_call>\n<tool_call>now\n</tool_call>",
     "<tool_call>read\n<arg_key>count</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"},
    {kMistral, "[TOOL_CALLS][{\"name\": \"read\", \"arguments\": {\"path\": \"a\", \"count\": 2}}]",
     "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"now\", \"arguments\": {}}]",
     "[TOOL_CALLS][{\"name\": \"read\", \"arguments\": {}}]"},
    {kMagistral, "[TOOL_CALLS]read[ARGS]{\"path\": \"a\", \"count\": 2}",
     "[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]now[ARGS]{}", "[TOOL_CALLS]read[ARGS]{}"},
    {kDeepSeek,
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>read<｜tool▁sep｜>{\"path\": \"a\", \"count\": 2}"
     "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><"
     "｜tool▁call▁begin｜>now"
     "<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "<｜tool▁calls▁begin｜>"},
    {kGemma4, "<|tool_call>call:read{count:2,path:<|\"|>a<|\"|>}<tool_call|>",
     "<|tool_call>call:now{}<tool_call|><|tool_call>call:now{}<tool_call|>",
     "<|tool_call>call:read{count:2}<tool_call|>"},
    {kLfm2, "<|tool_call_start|>[read(path='a', count=2)]<|tool_call_end|>",
     "<|tool_call_start|>[now(), now()]<|tool_call_end|>",
     "<|tool_call_start|>[read(path='a', count='b')]<|tool_call_end|>"},
    {kDsml,
     "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"read\">\n<｜DSML｜parameter name=\"path\" "
     "string=\"true\">a</｜DSML｜parameter>\n<｜DSML｜parameter name=\"count\" string=\"false\">2"
     "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
     nullptr,
     "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"read\">\n<｜DSML｜parameter name=\"path\" "
     "string=\"false\">1</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>"},
    {kDeepSeekR1,
     "</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>read\n```json\n"
     "{\"path\": \"a\", \"count\": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     nullptr, "</think><｜tool▁calls▁begin｜>"},
    {kLlama3, "{\"name\": \"read\", \"parameters\": {\"path\": \"a\", \"count\": 2}}", nullptr,
     "{\"name\": \"read\", \"parameters\": {}}"},
};

TEST_F(PrepareChatTest, CallsOfEveryFamilyAreBound) {
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.call);
    service_.SetChatTemplate(family.source);
    ASSERT_TRUE(Prepare(User(true)));
    EXPECT_TRUE(Allows(family.call));
    EXPECT_FALSE(Allows(family.wrong));
    EXPECT_TRUE(Allows(family.source == kDeepSeekR1 ? "Hm.</think>\n\nText." : "Text."));
    if (family.two != nullptr) {
      EXPECT_TRUE(Allows(family.two));
    }
    Conversation one = User(true);
    one.choice = {"required", {"read"}, true, true};
    ASSERT_TRUE(Prepare(one));
    EXPECT_TRUE(Allows(family.call));
    EXPECT_FALSE(Allows("Text."));
    if (family.two != nullptr) {
      EXPECT_FALSE(Allows(family.two));
    }
  }
}

// The answer that was read, sent back, is the text that the model wrote, behind the same prompt:
// nothing has to be computed again.
TEST_F(PrepareChatTest, AnAnswerSentBackIsRenderedAsItWas) {
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.call);
    service_.SetChatTemplate(family.source);
    const auto form = Prepare(User(true));
    ASSERT_TRUE(form);
    Answer answer;
    answer.text = family.call;
    answer.finish = FinishReason::kStop;
    answer.tokens = {'x'};
    answer.text_ends = {answer.text.size()};
    const ChatAnswer read = ReadChatAnswer(*form, answer);
    ASSERT_TRUE(EndsInCalls(answer, read));
    const Json arguments = Parsed(read.calls[0].arguments);
    EXPECT_EQ(arguments["count"], 2);
    EXPECT_EQ(arguments["path"], family.source == kQwenCoder ? "a\nb" : "a");
    Conversation back = User(true);
    back.messages.push_back(
        {{"role", "assistant"},
         {"content", ""},
         {"tool_calls",
          Json::array(
              {{{"id", "abcdefgh1"},
                {"type", "function"},
                {"function", {{"name", read.calls[0].name}, {"arguments", arguments}}}}})}});
    back.messages.push_back({{"role", "tool"}, {"tool_call_id", "abcdefgh1"}, {"content", "r"}});
    std::string call = family.call;
    if (call.starts_with("</think>")) call.erase(0, 8);  // thoughts are not rendered again
    // The id is the server's own.
    if (family.source == kMistral) call.insert(call.size() - 2, ", \"id\": \"abcdefgh1\"");
    EXPECT_THAT(Render(back), HasSubstr(call));
  }
}

TEST_F(PrepareChatTest, HarmonyIsBound) {
  service_.SetChatTemplate(kHarmony);
  const std::string thought = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant";
  const std::string call = "<|channel|>commentary to=functions.read <|constrain|>json<|message|>";
  ASSERT_TRUE(Prepare(User(true)));
  EXPECT_TRUE(Allows(thought + call + "{\"path\": \"a\"}"));
  EXPECT_TRUE(Allows(call + "{\"path\": \"a\"}"));
  EXPECT_FALSE(Allows(call + "{}"));
  EXPECT_TRUE(Allows(thought + "<|channel|>final<|message|>Text"));
  Conversation object = User();
  object.format.kind = AnswerFormat::Kind::kObject;
  ASSERT_TRUE(Prepare(object));
  EXPECT_TRUE(Allows(thought + "<|channel|>final<|message|>{}"));
  EXPECT_FALSE(Allows(thought + "<|channel|>final<|message|>Text"));
}

// What an answer has to be begins behind the thought.
TEST_F(PrepareChatTest, AFormatBindsWhatFollowsTheThought) {
  Conversation object = User();
  object.format.kind = AnswerFormat::Kind::kObject;
  service_.SetChatTemplate(kNemotron);  // the prompt opens a thought
  ASSERT_TRUE(Prepare(object));
  EXPECT_TRUE(Allows("{ Hm. </think>\n\n{\"a\": 1}"));
  EXPECT_FALSE(Allows("{\"a\": 1}"));
  EXPECT_FALSE(Allows("Hm.</think>Text"));
  service_.SetChatTemplate(kQwen3);  // the model does, or does not
  ASSERT_TRUE(Prepare(object));
  EXPECT_TRUE(Allows("<think>\nHm.\n</think>\n\n{}"));
  EXPECT_TRUE(Allows("{}"));
  object.thinking.enabled = false;  // the prompt has an empty thought
  ASSERT_TRUE(Prepare(object));
  EXPECT_TRUE(Allows("{}"));
  EXPECT_FALSE(Allows("<think>\nHm.\n</think>\n\n{}"));
  Conversation gbnf = User();
  gbnf.format.kind = AnswerFormat::Kind::kGbnf;
  gbnf.format.gbnf = "root ::= answer\nanswer ::= \"yes\" | \"no\"";
  ASSERT_TRUE(Prepare(gbnf));
  EXPECT_TRUE(Allows("<think>no</think>yes"));
  EXPECT_FALSE(Allows("maybe"));
  ASSERT_TRUE(Prepare(User()));
  EXPECT_EQ(generate_.options.grammar, nullptr);
}

TEST_F(PrepareChatTest, StopsActBehindThoughtsAndBeforeCalls) {
  service_.SetChatTemplate(kNemotron);
  const auto form = Prepare(User(true));
  ASSERT_TRUE(form);
  EXPECT_TRUE(form->thought.inside);
  EXPECT_TRUE(generate_.options.stop_limit.thought.inside);
  EXPECT_EQ(generate_.options.stop_limit.thought.close, "</think>");
  EXPECT_EQ(generate_.options.stop_limit.marker, "<TOOLCALL>");
}

TEST_F(PrepareChatTest, WishesOfThinkingBecomeTheTemplatesOwn) {
  const auto prompt = [this](const char* source, const Thinking& thinking) {
    service_.SetChatTemplate(source);
    Conversation conversation = User();
    conversation.thinking = thinking;
    EXPECT_TRUE(Prepare(conversation));
    return Render(conversation);
  };
  constexpr char kOff[] = "<think>\n\n</think>";
  EXPECT_THAT(prompt(kQwen3, {false, {}, {}}), HasSubstr(kOff));
  EXPECT_THAT(prompt(kQwen3, {{}, "none", {}}), HasSubstr(kOff));
  EXPECT_THAT(prompt(kQwen3, {true, {}, {}}), testing::Not(HasSubstr(kOff)));
  EXPECT_EQ(generate_.options.thought.close.size(), 0u);
  prompt(kQwen3, {{}, "low", {}});
  EXPECT_EQ(generate_.options.thought.budget, 1024u);
  EXPECT_THAT(prompt(kDeepSeek, {true, {}, {}}), testing::EndsWith("<think>"));
  EXPECT_TRUE(generate_.options.stop_limit.thought.inside);
  EXPECT_THAT(prompt(kDeepSeek, {}), testing::EndsWith("</think>"));
  EXPECT_THAT(prompt(kHarmony, {{}, "low", {}}), HasSubstr("Reasoning: low"));
  EXPECT_THAT(prompt(kHarmony, {{}, "xhigh", {}}), HasSubstr("Reasoning: high"));
  // Nemotron's prompt opens a thought whatever a variable says, so that it is closed at once.
  prompt(kNemotron, {false, {}, {}});
  EXPECT_EQ(generate_.options.thought.budget, 0u);
  EXPECT_EQ(generate_.options.thought.close,
            (std::vector<int32_t>{'<', '/', 't', 'h', 'i', 'n', 'k', '>'}));
  EXPECT_TRUE(generate_.options.thought.tags.inside);
  prompt(kNemotron, {{}, {}, 7});
  EXPECT_EQ(generate_.options.thought.budget, 7u);
  // A model that does not think.
  prompt(kPlain, {true, "low", 7});
  EXPECT_THAT(context_.ignored, testing::UnorderedElementsAre("enable_thinking", "reasoning_effort",
                                                              "thinking_token_budget"));
  EXPECT_TRUE(generate_.options.thought.close.empty());
}

// Ids that another model's server has given.
TEST_F(PrepareChatTest, IdsAreShortenedWhereATemplateInsistsOnIt) {
  service_.SetChatTemplate(kMistral);
  Conversation back = User(true);
  back.messages.push_back(Parsed(R"({"role":"assistant","content":null,"tool_calls":[{
      "id":"chatcmpl-tool-1","type":"function","function":{"name":"now","arguments":{}}}]})"));
  EXPECT_THAT(Render(back), HasSubstr(R"("id": "call00000"}])"));
}

// Some clients greet first, and some templates want the user to.
TEST_F(PrepareChatTest, AGreetingHasAUserBeforeIt) {
  service_.SetChatTemplate(
      "{% if messages[0].role != 'user' %}{{ raise_exception('no') }}{% endif %}"
      "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}");
  Conversation greeting;
  greeting.messages = Parsed(R"([{"role":"assistant","content":"Hi."},
                                 {"role":"user","content":"x"}])");
  EXPECT_EQ(Render(greeting), "[user: ][assistant: Hi.][user: x]");
}

// A function may lack what a template prints of it.
TEST_F(PrepareChatTest, AFunctionWithoutParametersHasNone) {
  service_.SetChatTemplate(
      "{% for t in tools or [] %}{{ t.function.name + t.function.description }} of "
      "{{ t.function.parameters.properties | length }};{% endfor %}{% for m in messages %}"
      "{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>\n{{ c.function | tojson }}\n"
      "</tool_call>{% endfor %}<|im_end|>\n{% endfor %}");
  EXPECT_EQ(Render(User(true)), "read of 2;now of 0;x<|im_end|>\n");
}

// A template that tells of calls and leaves them out of a history gets them as text.
TEST_F(PrepareChatTest, CallsThatATemplateLeavesOut) {
  service_.SetChatTemplate(kLfm2Listed);
  Conversation back = User(true);
  back.messages.push_back(Parsed(R"({"role":"assistant","content":"So.","tool_calls":[{"id":"1",
      "type":"function","function":{"name":"read","arguments":{"path":"a","count":2}}},{"id":"2",
      "type":"function","function":{"name":"now","arguments":{}}}]})"));
  EXPECT_THAT(Render(back),
              HasSubstr("assistant\nSo.\n<|tool_call_start|>[read(path=\"a\", count=2), "
                        "now()]<|tool_call_end|><|im_end|>"));
}

// A template without tools: the server describes them, and says so in a header.
TEST_F(PrepareChatTest, GenericTools) {
  service_.SetChatTemplate(kPlain);
  const auto form = Prepare(User(true));
  ASSERT_TRUE(form);
  ASSERT_NE(form->calls, nullptr);
  EXPECT_TRUE(form->calls->generic);
  EXPECT_THAT(context_.headers,
              ElementsAre(std::pair<std::string, std::string>("x-tool-format", "generic")));
  EXPECT_TRUE(Allows("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"));
  Conversation back = User(true);
  back.messages.insert(back.messages.begin(), Parsed(R"({"role":"system","content":"Be brief."})"));
  back.messages.push_back(Parsed(R"({"role":"assistant","content":null,"tool_calls":[{"id":"1",
      "type":"function","function":{"name":"now","arguments":{}}}]})"));
  back.messages.push_back(Parsed(R"({"role":"tool","tool_call_id":"1","content":"Noon."})"));
  const std::string prompt = Render(back);
  EXPECT_THAT(prompt, HasSubstr("system\nBe brief.\n\nYou may call these tools:"));
  EXPECT_THAT(prompt, HasSubstr(R"({"name": "now"})"));
  EXPECT_THAT(prompt, HasSubstr("assistant\n<tool_call>\n{\"name\": \"now\", \"arguments\": "
                                "{}}\n</tool_call><|im_end|>"));
  EXPECT_THAT(prompt, HasSubstr("user\n<tool_response>\nNoon.\n</tool_response>"));
  context_.generic_tools = false;
  const auto refused = Prepare(User(true));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("does not say how to call"));
  EXPECT_EQ(refused.error().param, "tools");
}

// Clients send system messages where templates do not expect them.
TEST_F(PrepareChatTest, SystemMessagesAreMovedWhereATemplateRefusesThem) {
  Conversation conversation = User();
  conversation.messages = Parsed(R"([{"role":"user","content":"q"},{"role":"system","content":"a"},
      {"role":"system","content":"b"},{"role":"user","content":"r"}])");
  service_.SetChatTemplate(kPlain);
  EXPECT_THAT(Render(conversation), HasSubstr("user\nq<|im_end|>\n<|im_start|>system\na"));
  service_.SetChatTemplate(
      "{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
      "{{ raise_exception('system first') }}{% endif %}[{{ m.role }}: {{ m.content }}]{% endfor "
      "%}");
  EXPECT_EQ(Render(conversation), "[system: a\n\nb][user: q][user: r]");
  service_.SetChatTemplate(
      "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
      "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.role }}: {{ m.content }}]"
      "{% endfor %}");
  EXPECT_EQ(Render(conversation), "[user: a\n\nb\n\nq\n\nr]");
  service_.SetChatTemplate("{% if messages %}{{ raise_exception('not even so') }}{% endif %}");
  const auto refused = Prepare(conversation);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("not even so"));
  EXPECT_EQ(refused.error().param, "messages");
}

// What a form cannot bind is named, or refused where the tool is strict.
TEST_F(PrepareChatTest, WhatAFormCannotBindIsNamed) {
  service_.SetChatTemplate(kQwenCoder);
  Conversation conversation = User(true);
  conversation.tools.tools[0]["function"]["parameters"]["properties"]["path"]["pattern"] = "(a)\\1";
  ASSERT_TRUE(Prepare(conversation));
  EXPECT_THAT(context_.ignored, ElementsAre("tools[0]/properties/path: pattern"));
  conversation.tools.tools[0]["function"]["strict"] = true;
  const auto refused = Prepare(conversation);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("/properties/path/pattern"));
  conversation.tools.tools[0]["function"]["parameters"]["properties"]["path"]["pattern"] = "^a$";
  ASSERT_TRUE(Prepare(conversation));
  EXPECT_THAT(context_.ignored, IsEmpty());
}

}  // namespace
}  // namespace lockstep
