#include "server/generation/tool_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

constexpr char kRules[] =
    "args-f ::= \"{\" ([^{}\"] | string | args-f)* \"}\"\n"
    "string ::= \"\\\"\" ([^\"\\\\] | \"\\\\\" .)* \"\\\"\"\n";

ToolGrammarParts Parts(std::optional<std::string> instead = "", bool parallel = true) {
  return {{{"f", "args-f"}, {"get_it", "args-f"}}, parallel, std::move(instead)};
}

bool Allows(ToolStyle style, const ToolGrammarParts& parts, std::string_view text) {
  const auto grammar = ParseGbnf(kRules + ToolGrammar(style, parts) + "other ::= \"{}\"\n");
  EXPECT_TRUE(grammar.has_value()) << grammar.error().message;
  if (!grammar) return false;
  return Matches(**grammar, text);
}

struct Read {
  std::string content;
  std::vector<std::string> calls;  // name(arguments)
};

// However the text is cut, the deltas add up to the same.
Read ReadIn(ToolStyle style, std::string_view text, size_t piece) {
  ToolCallReader reader(style);
  Read read;
  const auto take = [&read](const std::vector<ToolDelta>& deltas) {
    for (const ToolDelta& delta : deltas) {
      read.content += delta.content;
      if (delta.name) {
        EXPECT_EQ(delta.call, read.calls.size());
        read.calls.push_back(*delta.name + ":");
      }
      if (!delta.arguments.empty()) read.calls.at(delta.call.value()) += delta.arguments;
    }
  };
  for (size_t i = 0; i < text.size(); i += piece) take(reader.Push(text.substr(i, piece)));
  take(reader.Finish());
  EXPECT_EQ(reader.calls(), read.calls.size());
  return read;
}

struct Example {
  ToolStyle style;
  std::string text, content;
  std::vector<std::string> calls;
};

const std::vector<Example> kExamples = {
    {ToolStyle::kHermes, "Hello, <b>you</b> <tool", "Hello, <b>you</b> <tool", {}},
    {ToolStyle::kHermes, "", "", {}},
    {ToolStyle::kHermes,
     "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"{\"}}\n</tool_call>",
     "",
     {"f:{\"a\": \"}\\\"{\"}"}},
    {ToolStyle::kHermes,
     "I see.<<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n"
     "<tool_call>\n{\"name\": \"get_it\", \"arguments\": {{1}}}\n</tool_call>",
     "I see.<",
     {"f:{}", "get_it:{{1}}"}},
    {ToolStyle::kHermes,
     "Wait \n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
     "Wait",
     {"f:{}"}},
    {ToolStyle::kLlama3, "{\"name\": \"f\", \"parameters\": {\"x\": 1}}", "", {"f:{\"x\": 1}"}},
    {ToolStyle::kLlama3, "{\"name", "{\"name", {}},
    {ToolStyle::kLlama3, "Say {\"name\": \"f\"}", "Say {\"name\": \"f\"}", {}},
    {ToolStyle::kMistral,
     "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}, \"id\": \"abcdefGH9\"}, "
     "{\"name\": \"get_it\", \"arguments\": {\"b\": 2}}]",
     "",
     {"f:{}", "get_it:{\"b\": 2}"}},
    {ToolStyle::kMistral, "A list: [1, 2] [TOOL", "A list: [1, 2] [TOOL", {}},
    {ToolStyle::kMistralArgs,
     "Yes.[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]get_it[ARGS]{\"b\": 2}",
     "Yes.",
     {"f:{}", "get_it:{\"b\": 2}"}},
};

TEST(ToolCalls, TheReaderTakesOutWhatTheGrammarAllows) {
  for (const Example& example : kExamples) {
    SCOPED_TRACE(example.text);
    EXPECT_TRUE(Allows(example.style, Parts(), example.text));
    for (const size_t piece : {1, 2, 7, 1000}) {
      const Read read = ReadIn(example.style, example.text, piece);
      EXPECT_EQ(read.content, example.content);
      EXPECT_EQ(read.calls, example.calls);
    }
  }
}

TEST(ToolCalls, WhatBeginsLikeACallIsOne) {
  const std::pair<ToolStyle, const char*> refused[] = {
      {ToolStyle::kHermes, "<tool_call>"},
      {ToolStyle::kHermes, "<<tool_call>{}"},
      {ToolStyle::kHermes, "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>"},
      {ToolStyle::kHermes, "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\nSo"},
      {ToolStyle::kLlama3, "{\"name\": \"g\", \"parameters\": {}}"},
      {ToolStyle::kLlama3, "{\"name\": \"f\", \"parameters\": {}} "},
      {ToolStyle::kMistral, "[TOOL_CALLS]"},
      {ToolStyle::kMistral, "[TOOL_CALLS][]"},
      {ToolStyle::kMistralArgs, "[TOOL_CALLS]g[ARGS]{}"},
  };
  for (const auto& [style, text] : refused) EXPECT_FALSE(Allows(style, Parts(), text)) << text;
}

TEST(ToolCalls, TheChoiceDecidesWhatElseThereMayBe) {
  for (const Example& example : kExamples) {
    SCOPED_TRACE(example.text);
    EXPECT_EQ(Allows(example.style, Parts(std::nullopt), example.text),
              !example.calls.empty() && example.content.empty());
    EXPECT_EQ(Allows(example.style, Parts("other"), example.text),
              !example.calls.empty() && example.content.empty());
    EXPECT_TRUE(Allows(example.style, Parts("other"), "{}"));
    EXPECT_EQ(Allows(example.style, Parts("", /*parallel=*/false), example.text),
              example.calls.size() < 2);
  }
}

TEST(ToolCalls, TheStyleIsThatOfTheTemplate) {
  const std::pair<const char*, std::optional<ToolStyle>> cases[] = {
      {"within <tool_call></tool_call> tags:\n<tool_call>\n{\"name\": x", ToolStyle::kHermes},
      {"<tool_call>\n<function=f>\n", std::nullopt},
      {"Respond in the format {\"name\": function name, \"parameters\": dictionary}",
       ToolStyle::kLlama3},
      {"[AVAILABLE_TOOLS][{\"parameters\": {}}][TOOL_CALLS][{\"name\": \"f\"", ToolStyle::kMistral},
      {"[TOOL_CALLS]f[ARGS]{}", ToolStyle::kMistralArgs},
      {"<|im_start|>user\nHello", std::nullopt},
      {"{\"name\": \"f\", \"description\": \"d\", \"parameters\": {}}", std::nullopt},
  };
  for (const auto& [rendered, style] : cases) EXPECT_EQ(DetectToolStyle(rendered), style);
  const std::string id = NewToolCallId(ToolStyle::kMistral);
  EXPECT_EQ(id.size(), 9u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), id.npos);
  EXPECT_NE(NewToolCallId(ToolStyle::kMistral), id);
  EXPECT_TRUE(NewToolCallId(ToolStyle::kHermes).starts_with("call-"));
}

}  // namespace
}  // namespace lockstep
