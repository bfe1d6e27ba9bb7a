// Prompts of which some bytes are trusted and some are not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/tokenizer/tokenizer.h"
#include "tests/support/random.h"
#include "tests/support/tiny_vocabulary.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<int32_t>;

// 256 "hi", 257 "hip", 258 <|endoftext|>, 259 <|user|>, 260 [GAP] of the user's.
TinyVocabulary Vocabulary() {
  TinyVocabulary v = BpeVocabulary({"h i", "hi p"});
  v.Add("<|user|>", 3);
  v.Add("[GAP]", 4);
  return v;
}

struct Part {
  std::string_view text;
  bool trusted;
};

TrustedText Joined(const std::vector<Part>& parts) {
  TrustedText text;
  for (const Part& part : parts) text.Append(part.text, part.trusted);
  return text;
}

Ids Encode(const Tokenizer& tokenizer, const std::vector<Part>& parts, bool add_special = false) {
  return tokenizer.Encode(Joined(parts), add_special);
}

TEST(TokenizerParts, OnlyTrustedTextMakesControlTokens) {
  const auto made = CreateTokenizer(Vocabulary().Metadata());
  ASSERT_TRUE(made.has_value());
  const Tokenizer& t = *made;
  EXPECT_THAT(Encode(t, {}), IsEmpty());
  EXPECT_THAT(Encode(t, {{"<|user|>", true}, {"hi", false}}), ElementsAre(259, 256));
  EXPECT_THAT(Encode(t, {{"<|us", true}, {"", false}, {"er|>", true}}), ElementsAre(259));
  for (const auto& parts :
       std::vector<std::vector<Part>>{{{"<|user|>", false}},
                                      {{"<|us", true}, {"er|>", false}},
                                      {{"<|us", false}, {"er|>", true}},
                                      {{"<|user|", true}, {">", false}, {"hi<|user|>", true}}}) {
    const Ids ids = Encode(t, parts);
    EXPECT_NE(ids.front(), 259);
    const std::string text = Joined(parts).bytes();
    EXPECT_EQ(t.Decode(ids), text.substr(0, text.find("hi<") == text.npos ? text.size() : 10));
  }
}

TEST(TokenizerParts, WordsAndUserDefinedTokensCrossParts) {
  const auto t = CreateTokenizer(Vocabulary().Metadata());
  ASSERT_TRUE(t.has_value());
  EXPECT_THAT(Encode(*t, {{"<|user|>h", true}, {"i", false}, {"p", true}}), ElementsAre(259, 257));
  EXPECT_THAT(Encode(*t, {{"[G", false}, {"AP]", true}}), ElementsAre(260));
}

TEST(TokenizerParts, BosAndEosAreNotDoubled) {
  TinyVocabulary v = Vocabulary();
  v.builder.SetBool("tokenizer.ggml.add_bos_token", true);
  v.builder.SetBool("tokenizer.ggml.add_eos_token", true);
  const auto t = CreateTokenizer(v.Metadata());
  ASSERT_TRUE(t.has_value());
  EXPECT_THAT(Encode(*t, {{"hi", false}}, true), ElementsAre(258, 256, 258));
  EXPECT_THAT(Encode(*t, {{"<|endoftext|>hi", true}}, true), ElementsAre(258, 256, 258));
  EXPECT_THAT(Encode(*t, {{"hi<|endoftext|>", true}}, true), ElementsAre(258, 256, 258));
  EXPECT_THAT(Encode(*t, {{"<|endoftext|>hi", true}}, false), ElementsAre(258, 256));
  EXPECT_EQ(Encode(*t, {{"<|endoftext|>", false}}, true).size(), 15u);  // text, as it says
}

// However a trusted text is cut, its ids are those of the whole.
TEST(TokenizerParts, CutsDoNotMatter) {
  constexpr std::string_view kPieces[] = {"the king", " ",   "\n", "<|im_start|>", "<|im_end|>",
                                          "[GAP]",    "<s>", "é",  "12",           "<|endoftext|>"};
  Random random(5);
  for (const char* name : {"tales-bpe", "tales-spm", "tales-unigram"}) {
    const Tokenizer tokenizer = LoadTokenizer(TestData(name) + ".gguf");
    for (int round = 0; round < 200; ++round) {
      std::string text;
      for (uint64_t n = random.Below(12); n > 0; --n) {
        text += kPieces[random.Below(std::size(kPieces))];
      }
      for (const bool trusted : {true, false}) {
        std::vector<Part> parts;
        for (size_t at = 0; at < text.size();) {
          const size_t size = 1 + random.Below(9);
          parts.push_back({std::string_view(text).substr(at, size), trusted});
          at += size;
        }
        EXPECT_EQ(Encode(tokenizer, parts),
                  tokenizer.Encode(text, false,
                                   trusted ? SpecialTokens::kParse : SpecialTokens::kAsText));
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
