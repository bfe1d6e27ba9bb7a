#include "core/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/random.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

const char* const kNames[] = {"default",        "gpt-2",        "llama-bpe", "qwen2",
                              "deepseek-coder", "deepseek-llm", "starcoder", "smollm"};

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

TEST(Pretokenizer, Gpt2) {
  EXPECT_EQ(Split("gpt-2", ""), "");
  EXPECT_EQ(Split("gpt-2", "Hello world, it's 1234  days!\n\n ok"),
            "Hello| world|,| it|'s| 1234| | days|!|\n\n| ok");
  EXPECT_EQ(Split("gpt-2", "DON'T we'll"), "DON|'|T| we|'ll");
  EXPECT_EQ(Split("gpt-2", "x   "), "x|   ");
  EXPECT_EQ(Split("gpt-2", "Zürich 你好 ½"), "Zürich| 你好| ½");
}

TEST(Pretokenizer, LlamaAndQwen) {
  EXPECT_EQ(Split("llama-bpe", "It'S 12345\r\n\r\n  x(y)"), "It|'S| |123|45|\r\n\r\n| | x|(y|)");
  EXPECT_EQ(Split("qwen2", "It'S 123\n  x(y)"), "It|'S| |1|2|3|\n| | x|(y|)");
  EXPECT_EQ(Split("llama-bpe", "!!\n\n \n\tx"), "!!\n\n| \n|\tx");
}

TEST(Pretokenizer, StarcoderDefaultAndSmollm) {
  EXPECT_EQ(Split("starcoder", "a 123 b"), "a| |1|2|3| b");
  EXPECT_EQ(Split("smollm", "a 123 b"), "a| |1|2|3| b");
  EXPECT_EQ(Split("default", "a==b 12345, c"), "a|==|b| |123|45|,| c");
}

TEST(Pretokenizer, Deepseek) {
  EXPECT_EQ(Split("deepseek-coder", "a 12\n if(x)"), "a| |1|2|\n| if|(|x|)");
  EXPECT_EQ(Split("deepseek-coder", "hi你好 +"), "hi|你好| +");
  EXPECT_EQ(Split("deepseek-llm", "hi你好 12 3"), "hi|你好| |12| |3");
  EXPECT_EQ(Split("deepseek-llm", "a \n  b   "), "a| |\n| | b|   ");
}

TEST(Pretokenizer, OnlyUnicodeSpacesAreSpaces) {
  EXPECT_EQ(Split("gpt-2", "a\u00A0\u3000b"), "a|\u00A0|\u3000|b");
  EXPECT_EQ(Split("gpt-2", "a\u180E!"), "a|\u180E!");  // not a space since Unicode 6.3
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

// Such texts overflow the stack of recursive matchers. As one word each, but for deepseek-llm's
// kind of letters, they come out whole.
TEST(Pretokenizer, VeryLongWords) {
  const std::string letters(300'000, 'a');
  const std::string spaces(300'000, ' ');
  for (const char* name : kNames) {
    const auto pretokenizer = Pretokenizer::Create(name);
    ASSERT_TRUE(pretokenizer.has_value());
    EXPECT_EQ(pretokenizer->Split(letters).size(), 1u) << name;
    EXPECT_EQ(pretokenizer->Split(spaces).size(), 1u) << name;
    EXPECT_EQ(pretokenizer->Split(spaces + "5").back(), name == std::string("gpt-2") ? " 5" : "5");
  }
}

}  // namespace
}  // namespace lockstep
