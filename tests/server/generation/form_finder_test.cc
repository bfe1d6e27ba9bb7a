// What is found in templates of the forms in which families publish them.
#include "server/generation/form_finder.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/server/generation/chat_templates.h"

namespace lockstep {
namespace {

using Arguments = CallForm::Arguments;

struct Expected {
  const char* source;
  std::string opens, before_name, after_name, after, between, closes;
  Arguments arguments = Arguments::kJson;
};

// What stands around calls and their parts, which each case has under the same names.
void ExpectAround(const CallForm& form, const auto& c) {
  EXPECT_EQ(form.opens, c.opens);
  EXPECT_EQ(form.before_name, c.before_name);
  EXPECT_EQ(form.after_name, c.after_name);
  EXPECT_EQ(form.after, c.after);
  EXPECT_EQ(form.between, c.between);
  EXPECT_EQ(form.closes, c.closes);
}

TEST(FormFinder, TheFormOfCalls) {
  const Expected cases[] = {
      {kQwen3, "", "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>", "\n",
       ""},
      {kLlama3, "", "{\"name\": \"", "\", \"parameters\": ", "}", "", ""},
      {kMistral, "[TOOL_CALLS][", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]"},
      {kMagistral, "", "[TOOL_CALLS]", "[ARGS]", "", "", ""},
      {kDeepSeek, "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>",
       "<｜tool▁call▁end｜>", "", "<｜tool▁calls▁end｜>"},
      {kDeepSeekR1, "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
       "\n```json\n", "\n```<｜tool▁call▁end｜>", "\n", "<｜tool▁calls▁end｜>"},
      {kLfm2Listed, "<|tool_call_start|>[", "", "(", ")", ", ", "]<|tool_call_end|>",
       Arguments::kPythonic},
      {kNemotron, "<TOOLCALL>[", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]</TOOLCALL>"},
      {kLfm2, "<|tool_call_start|>[", "", "(", ")", ", ", "]<|tool_call_end|>",
       Arguments::kPythonic},
      {kGemma4, "", "<|tool_call>call:", "{", "}<tool_call|>", "", "", Arguments::kGemma},
      {kCommandR7b, "<|START_ACTION|>[", "\n    {\"tool_call_id\": \"\x01\", \"tool_name\": \"",
       "\", \"parameters\": ", "}", ",", "\n]<|END_ACTION|>"},
      {kCommandRPlus, "Action:\n```json\n[", "\n    {\n        \"tool_name\": \"",
       "\",\n        \"parameters\": ", "\n    }", ",", "\n]```"},
      {kKimiK2, "<|tool_calls_section_begin|>", "<|tool_call_begin|>functions.",
       ":\x01<|tool_call_argument_begin|>", "<|tool_call_end|>", "", "<|tool_calls_section_end|>"},
      {kKimiIds.c_str(), "<|tool_calls_section_begin|>", "<|tool_call_begin|>functions.",
       ":\x01<|tool_call_argument_begin|>", "<|tool_call_end|>", "", "<|tool_calls_section_end|>"},
      {kSolar, "<|tool_calls|>", "<|tool_call:begin|>\x02<|tool_call:name|>", "<|tool_call:args|>",
       "<|tool_call:end|>", "", ""},
      {kMistralSmall, "", "[TOOL_CALLS]", "[CALL_ID]\x02[ARGS]", "", "", ""},
      {kFirefunction, "functools[", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]"},
      {kFunctionary, "", "<function=", ">", "</function>", "", ""},
      {kSmolLm3, "", "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>", "\n",
       ""},
  };
  for (const Expected& c : cases) {
    SCOPED_TRACE(c.source);
    const auto form = ChatModelOf(c.source).forms.calls;
    ASSERT_NE(form, nullptr);
    ExpectAround(*form, c);
    EXPECT_EQ(form->arguments, c.arguments);
    EXPECT_EQ(form->many, c.source != kLlama3);
    EXPECT_EQ(form->mistral, Marker(*form) == "[TOOL_CALLS]");
    EXPECT_EQ(form->ids_of_names, c.source == kKimiIds);
    EXPECT_EQ(form->arguments_as_text, c.source == kDeepSeek || c.source == kDeepSeekR1);
    EXPECT_EQ(form->null_content, c.source == kDeepSeekR1);
    EXPECT_EQ(form->unshown, c.source == kLfm2Listed || c.source == kSmolLm3);
  }
}

TEST(FormFinder, ParametersInTags) {
  const struct {
    const char* source;
    std::string opens, before_name, after_name, key_before, key_after, key_after_other, value_after,
        after, between, closes;
  } cases[] = {
      {kQwenCoder, "", "<tool_call>\n<function=", ">", "\n<parameter=", ">\n", ">\n",
       "\n</parameter>", "\n</function>\n</tool_call>", "\n", ""},
      {kGlm, "", "<tool_call>", "", "\n<arg_key>", "</arg_key>\n<arg_value>",
       "</arg_key>\n<arg_value>", "</arg_value>", "\n</tool_call>", "\n", ""},
      {kDsml, "<｜DSML｜function_calls>", "\n<｜DSML｜invoke name=\"", "\">",
       "\n<｜DSML｜parameter name=\"", "\" string=\"true\">", "\" string=\"false\">",
       "</｜DSML｜parameter>", "\n</｜DSML｜invoke>", "", "\n</｜DSML｜function_calls>"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.source);
    const auto form = ChatModelOf(c.source).forms.calls;
    ASSERT_NE(form, nullptr);
    EXPECT_EQ(form->arguments, Arguments::kTagged);
    ExpectAround(*form, c);
    EXPECT_EQ(form->key_before, c.key_before);
    EXPECT_EQ(form->key_after, c.key_after);
    EXPECT_EQ(form->key_after_other, c.key_after_other);
    EXPECT_EQ(form->value_after, c.value_after);
  }
}

TEST(FormFinder, SpaceBehindCalls) {
  EXPECT_EQ(ChatModelOf(kNemotron3.c_str()).forms.calls->space_behind, "\n");
  EXPECT_EQ(ChatModelOf(kNemotron3.c_str()).forms.calls->between, "\n");
  EXPECT_EQ(ChatModelOf(kQwenCoder).forms.calls->space_behind, "");
  EXPECT_EQ(ChatModelOf(kDeepSeek).forms.calls->space_behind, "");
}

TEST(FormFinder, TagsOfThoughts) {
  const struct {
    const char *source, *open, *close;
  } cases[] = {
      {kQwen3, "<think>", "</think>"},
      {kMagistral, "[THINK]", "[/THINK]"},
      {kGlm, "<think>", "</think>"},
      {kDeepSeek, "<think>", "</think>"},
      {kLfm2, "<think>", "</think>"},
      {kNemotron, "<think>", "</think>"},
      {kGemma4, "<|channel>thought", "<channel|>"},
      {kHarmony, "<|channel|>analysis<|message|>", "<|end|>"},
      {kLlama3, "", ""},
      {kPlain, "", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.source);
    const AnswerForms forms = ChatModelOf(c.source).forms;
    EXPECT_EQ(forms.thought.open, c.open);
    EXPECT_EQ(forms.thought.close, c.close);
    EXPECT_FALSE(forms.thought.inside);
    EXPECT_EQ(forms.harmony, c.source == kHarmony);
    EXPECT_EQ(forms.thought_shown, *c.close != '\0');
  }
  EXPECT_EQ(ChatModelOf(kPlain).forms.calls, nullptr);
}

TEST(FormFinder, TheSwitchOfThinking) {
  const std::pair<const char*, const char*> cases[] = {
      {kQwen3, "enable_thinking"}, {kGlm, "enable_thinking"}, {kGemma4, "enable_thinking"},
      {kDeepSeek, "thinking"},     {kNemotron, ""},           {kPlain, ""}};
  for (const auto& [source, name] : cases) {
    EXPECT_EQ(ChatModelOf(source).forms.thought_switch, name) << source;
  }
}

// A vocabulary may have the tags where the template does not show them.
TEST(FormFinder, TagsOfTheVocabulary) {
  const ChatModel chat = ChatModelOf(kPlain);
  const AnswerForms forms =
      FindForms(chat, [](std::string_view word) { return word.ends_with("think>"); });
  EXPECT_EQ(forms.thought.close, "</think>");
  EXPECT_FALSE(forms.thought_shown);
}

// Each of these would use up, for each conversation that it is tried on, all that a request's
// template may: that was half a minute and some hundred MiB.
TEST(FormFinder, ATemplateThatGrowsWithoutBoundsIsSoonGivenUp) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* const source :
       {"{% for i in range(99999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
        "{% set x = 'x' * 100000000 %}{{ x * 100 }}", "{{ range(99999) | join('x' * 1000000) }}",
        "{{ 'x'.replace('x', 'y' * 10000000).replace('y', 'z' * 100000) }}",
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}"
        "{% endfor %}{{ n.x }}"}) {
    const ChatModel chat = ChatModelOf(source);
    EXPECT_EQ(chat.forms.calls, nullptr) << source;
    EXPECT_TRUE(chat.forms.thought.close.empty()) << source;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(FormFinder, WhatTheModelCountsAndMakesUp) {
  std::string id;
  EXPECT_EQ(MatchLiteral("a12b.",
                         "a\x01"
                         "b"),
            4u);
  EXPECT_EQ(MatchLiteral("a12",
                         "a\x01"
                         "b"),
            std::string_view::npos);
  EXPECT_EQ(MatchLiteral("ab",
                         "a\x01"
                         "b"),
            std::nullopt);
  EXPECT_EQ(MatchLiteral("<x-9_>", "<\x02>", &id), 6u);
  EXPECT_EQ(id, "x-9_");
  EXPECT_EQ(MatchLiteral("any", ""), 0u);
}

// A template may describe its tools, and leave calls out.
TEST(FormFinder, DescribedForms) {
  const auto form = ChatModelOf(
                        "{% for t in tools %}<tool_call>\n{\"name\": {{ t.function.name }}"
                        "{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}")
                        .forms.calls;
  ASSERT_NE(form, nullptr);
  EXPECT_EQ(form->before_name, HermesForm().before_name);
}

}  // namespace
}  // namespace lockstep
