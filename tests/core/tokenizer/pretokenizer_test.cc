#include "core/tokenizer/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/support/random.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// One name of each set of rules.
const char* const kNames[] = {
    "default", "gpt-2",  "olmo",      "llama-bpe",  "dbrx",           "qwen2",        "megrez",
    "qwen35",  "falcon", "command-r", "starcoder",  "deepseek-coder", "deepseek-llm", "deepseek-v3",
    "tekken",  "gpt-4o", "minicpm5",  "seed-coder", "youtu",          "bailingmoe",   "kimi-k2",
    "jais-2",  "bloom",  "viking",    "laguna",     "exaone-moe"};

// "one|two": the words, with bars between them.
std::string Split(const char* name, std::string_view text) {
  const auto pretokenizer = Pretokenizer::Create(name);
  EXPECT_TRUE(pretokenizer.has_value());
  std::string out;
  for (const std::string_view word : pretokenizer->Split(text)) {
    if (!out.empty()) out += '|';
    out += word;
  }
  return out;
}

void ExpectSplits(const char* name,
                  const std::vector<std::pair<std::string_view, std::string_view>>& texts) {
  for (const auto& [text, words] : texts) EXPECT_EQ(Split(name, text), words) << name;
}

TEST(Pretokenizer, Gpt2) {
  ExpectSplits("gpt-2", {{"", ""},
                         {"Hello world, it's 1234  days!\n\n ok",
                          "Hello| world|,| it|'s| 1234| | days|!|\n\n| ok"},
                         {"DON'T we'll", "DON|'|T| we|'ll"},
                         {"x   ", "x|   "},
                         {"Zürich 你好 ½", "Zürich| 你好| ½"}});
}

TEST(Pretokenizer, LlamaAndQwen) {
  ExpectSplits("llama-bpe", {{"It'S 12345\r\n\r\n  x(y)", "It|'S| |123|45|\r\n\r\n| | x|(y|)"},
                             {"!!\n\n \n\tx", "!!\n\n| \n|\tx"}});
  ExpectSplits("qwen2", {{"It'S 123\n  x(y)", "It|'S| |1|2|3|\n| | x|(y|)"}});
}

TEST(Pretokenizer, StarcoderDefaultAndSmollm) {
  ExpectSplits("starcoder", {{"a 123 b", "a| |1|2|3| b"}});
  ExpectSplits("smollm", {{"a 123 b", "a| |1|2|3| b"}});
  ExpectSplits("default", {{"a==b 12345, c", "a|==|b| |123|45|,| c"}});
}

TEST(Pretokenizer, Deepseek) {
  ExpectSplits("deepseek-coder",
               {{"a 12\n if(x)", "a| |1|2|\n| if|(|x|)"}, {"hi你好 +", "hi|你好| +"}});
  ExpectSplits("deepseek-llm",
               {{"hi你好 12 3", "hi|你好| |12| |3"}, {"a \n  b   ", "a| |\n| | b|   "}});
}

// All published files' names stand for one of the sets of rules, so these lines cover them.
TEST(Pretokenizer, EachSetOfRules) {
  constexpr std::string_view kText = "HelloWorld don'T  1234567 été~x ++\n\n, 你好 ЖЖ\u3000é.";
  const std::pair<const char*, const char*> kExpected[] = {
      {"default", "HelloWorld| don|'|T| | |123|456|7| été|~|x| |++|\n\n|,| 你好| ЖЖ|\u3000|é|."},
      {"gpt-2", "HelloWorld| don|'|T| | 1234567| été|~|x| ++|\n|\n|,| 你好| ЖЖ|\u3000|é|."},
      {"llama-bpe", "HelloWorld| don|'T| | |123|456|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"qwen2", "HelloWorld| don|'T| | |1|2|3|4|5|6|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"qwen35", "HelloWorld| don|'T| | |1|2|3|4|5|6|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"falcon", "HelloWorld| don|'|T| | |123|456|7| été|~|x| |++|\n\n|,| 你好| ЖЖ|\u3000|é|."},
      {"starcoder",
       "HelloWorld| don|'|T|  |1|2|3|4|5|6|7| été|~|x| ++|\n|\n|,| 你好| ЖЖ|\u3000|é|."},
      {"deepseek-coder",
       "HelloWorld| don|'|T|  |1|2|3|4|5|6|7| été|~|x| ++|\n|\n|,| |你好| ЖЖ|\u3000é|."},
      {"deepseek-llm",
       "HelloWorld| don|'|T|  |1234567| é|t|é|~|x| ++|\n|\n|,| |你好| ЖЖ|\u3000é|."},
      {"deepseek-v3", "HelloWorld| don|'T|  |123|456|7| été|~x| ++\n\n|,| |你好| ЖЖ|\u3000é|."},
      {"tekken", "Hello|World| don|'T| | |1|2|3|4|5|6|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"gpt-4o", "Hello|World| don'T| | |123|456|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"minicpm5", "HelloWorld| don|'T|  |123|456|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"seed-coder", "HelloWorld| don|'T| | |1|2|3|4|5|6|7| été|~x| ++|\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"youtu", "HelloWorld| don'T| | |1|2|3|4|5|6|7| été|~x| ++\n\n|,| |你好| ЖЖ|\u3000é|."},
      {"bailingmoe", "HelloWorld| don|'T| | |1|2|3|4|5|6|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"kimi-k2", "HelloWorld| don'T| | |123|456|7| été|~x| ++\n\n|,| |你好| ЖЖ|\u3000é|."},
      {"jais-2", "HelloWorld| don|'T| | |123|456|7| été|~x| ++\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"bloom", "HelloWorld| don'T| | 1234567| été~x| ++|\n\n,| 你好| ЖЖ|\u3000|é|."},
      {"laguna", "HelloWorld| don|'T| | |1|2|3|4|5|6|7| été|~x| ++|\n\n|,| 你好| ЖЖ|\u3000é|."},
      {"exaone-moe", "HelloWorld don|'T| | |1|2|3|4|5|6|7| été|~x| ++\n|\n|,| 你好 ЖЖ|\u3000é|."},
      {"viking", "HelloWorld| don'T| | |1|2|3|4|5|6|7| été~x| ++|\n\n,| 你好| ЖЖ|\u3000|é|."},
  };
  for (const auto& [name, words] : kExpected) EXPECT_EQ(Split(name, kText), words) << name;
}

TEST(Pretokenizer, NamesOfTheSameRules) {
  const std::pair<const char*, const char*> kAliases[] = {
      {"llama-bpe", "llama-v3"},  {"llama-bpe", "pixtral"},  {"dbrx", "smaug-bpe"},
      {"dbrx", "glm4"},           {"qwen2", "stablelm2"},    {"starcoder", "refact"},
      {"starcoder", "command-r"}, {"gpt-2", "olmo"},         {"gpt-2", "phi-2"},
      {"gpt-4o", "llama4"},       {"gpt-2", "jina-v2-code"}, {"llama-bpe", "jina-v5-nano"},
      {"qwen2", "f2llmv2"},       {"gpt-4o", "talkie"},      {"deepseek-v3", "joyai-llm"},
      {"bloom", "poro-chat"}};
  for (const auto& [name, alias] : kAliases) {
    for (const char* text : {"a 12345b's\n\n  Été ++ 你好!", "HTTPServer 'S ~x\u3000y, z"}) {
      EXPECT_EQ(Split(name, text), Split(alias, text)) << alias;
    }
  }
}

TEST(Pretokenizer, OnlyUnicodeSpacesAreSpaces) {
  EXPECT_EQ(Split("gpt-2", "a\u00A0\u3000b"), "a|\u00A0|\u3000|b");
  EXPECT_EQ(Split("gpt-2", "a\u180E!"), "a|\u180E!");  // not a space since Unicode 6.3
  for (const char* name : {"deepseek-coder", "deepseek-llm"}) {
    EXPECT_EQ(Split(name, "好\u3000你"), "好|\u3000|你") << name;
  }
}

TEST(Pretokenizer, AnUnknownNameIsRefusedWithTheKnownOnes) {
  const auto pretokenizer = Pretokenizer::Create("nonsense\n");
  ASSERT_FALSE(pretokenizer.has_value());
  EXPECT_EQ(pretokenizer.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(pretokenizer.error().message, HasSubstr(R"("nonsense\x0a")"));
  for (const char* name : kNames) EXPECT_THAT(pretokenizer.error().message, HasSubstr(name));
}

TEST(Pretokenizer, WordsCoverAnyBytes) {
  constexpr std::string_view kPieces[] = {"a",    "Z",    "9",        " ",    "  ",    "\n",
                                          "\r\n", "'s",   "!",        "é",    "你",    "🚀",
                                          "\xFF", "\xC3", "\xE2\x82", "\xA0", "\u2003"};
  Random random(3);
  for (const char* name : kNames) {
    const auto pretokenizer = Pretokenizer::Create(name);
    ASSERT_TRUE(pretokenizer.has_value());
    for (int round = 0; round < 200; ++round) {
      std::string text;
      for (uint64_t n = random.Below(30); n > 0; --n) {
        text += kPieces[random.Below(std::size(kPieces))];
      }
      std::string joined;
      for (const std::string_view word : pretokenizer->Split(text)) {
        EXPECT_FALSE(word.empty());
        joined += word;
      }
      EXPECT_EQ(joined, text) << name;
    }
  }
}

// Such texts overflow the stack of recursive matchers.
TEST(Pretokenizer, VeryLongWords) {
  const auto repeated = [](std::string_view unit) {
    std::string text;
    while (text.size() < 60'000) text += unit;
    return text;
  };
  for (const char* name : kNames) {
    const auto pretokenizer = Pretokenizer::Create(name);
    ASSERT_TRUE(pretokenizer.has_value());
    EXPECT_EQ(pretokenizer->Split(repeated("a")).size(), 1u) << name;
    const bool groups_spaces = name != std::string_view("jais-2");
    const std::string spaces = repeated(" ");
    EXPECT_EQ(pretokenizer->Split(spaces).size(), groups_spaces ? 1u : 119u) << name;
    EXPECT_TRUE(pretokenizer->Split(spaces + "5").back().ends_with('5')) << name;
    for (const char* unit :
         {"A", "aB", "1", "\n", " \n", "'", "é", "e\u0301", "~", "你", "\u3000"}) {
      EXPECT_GT(pretokenizer->Split(repeated(unit)).size(), 0u) << name;
    }
  }
}

}  // namespace
}  // namespace lockstep
