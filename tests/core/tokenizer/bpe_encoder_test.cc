#include "core/tokenizer/bpe_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(BpeEncoder, LowestRankFirstThenLeftmost) {
  const TinyVocabulary v = BpeVocabulary({"b c", "a b", "a bc", "a a"});
  const std::pair<const char*, const char*> kPieces[] = {
      {"abc", "abc"}, {"abd", "ab|d"}, {"aaa", "aa|a"}};
  for (const auto& [text, pieces] : kPieces) EXPECT_EQ(Pieces(v, text), pieces);
}

TEST(BpeEncoder, AMergeNeedsItsPairAndNotOnlyItsText) {
  const TinyVocabulary v = BpeVocabulary({"b c", "a b", "ab c"});
  EXPECT_EQ(Pieces(v, "abc"), "a|bc");
}

TEST(BpeEncoder, WordsAreMergedOneByOne) {
  const TinyVocabulary v = BpeVocabulary({"a Ġ", "Ġ b", "a b"});
  EXPECT_EQ(Pieces(v, "a b"), "a|Ġb");
}

TEST(BpeEncoder, LlamaTakesWholeWordsFirst) {
  TinyVocabulary v = BpeVocabulary({"a b"});
  v.Add("xyz", 1);  // no merge leads to it
  v.Add("Ġé", 1);   // "é" here is the byte 0xE9
  EXPECT_EQ(Pieces(v, "xyz"), "x|y|z");
  v.builder.SetString("tokenizer.ggml.pre", "llama-bpe");
  EXPECT_EQ(Pieces(v, "xyz"), "xyz");
  EXPECT_EQ(Pieces(v, " \xE9"), "Ġé");
}

TEST(BpeEncoder, InvalidBytesAreKept) {
  const TinyVocabulary v = BpeVocabulary({"Ã ©"});
  EXPECT_EQ(Pieces(v, "\xC3"), "Ã");
  EXPECT_EQ(Pieces(v, "é\xA9\xFF"), "Ã©|©|ÿ");
}

// Some files call the tokens of bytes that UTF-8 never holds literal texts.
TEST(BpeEncoder, BytesWithoutATokenBecomeTheReplacementCharacter) {
  TinyVocabulary v = BpeVocabulary({"ï ¿", "ï¿ ½"});
  v.types[0xFF] = 4;
  EXPECT_EQ(Pieces(v, "a\xFF"), "a|ï¿½");
  EXPECT_EQ(Pieces(v, "aÿb"), "a|ÿ|b");  // U+00FF, literally
  EXPECT_EQ(CreateTokenizer(v.Metadata())->TokenBytes(0xFF), "ÿ");
}

// SmolLM2's vocabulary lacks eight control characters.
TEST(BpeEncoder, BytesWithoutATokenAreDroppedBeforeTheMerges) {
  TinyVocabulary v = BpeVocabulary({"a b"});
  EXPECT_EQ(CreateTokenizer(v.Metadata())->warning(), "");
  v.types[0x04] = 3;
  EXPECT_EQ(Pieces(v, "\x04"), "");
  EXPECT_EQ(Pieces(v, "c\x04\x04 a"), "c|Ġ|a");
  EXPECT_THAT(CreateTokenizer(v.Metadata())->warning(),
              HasSubstr("no token for 1 of the 243 bytes that UTF-8 text may hold (0x04)"));
  v.types['x'] = 3;
  EXPECT_EQ(Pieces(v, "axb"), "ab");
  v.types['a'] = 3;
  EXPECT_THAT(CreateTokenizer(v.Metadata())->warning(), HasSubstr("3 of the 243"));
  for (size_t byte = 0; byte < 256; ++byte) v.types[byte] = 3;
  EXPECT_THAT(ErrorOf(v), HasSubstr("no token for any byte"));
}

TEST(BpeEncoder, RefusesBadMerges) {
  TinyVocabulary v = BpeVocabulary({"a b"});
  for (const char* merge : {"ab", "", "a ", " ", "ab "}) {
    v.merges[0] = merge;
    EXPECT_THAT(ErrorOf(v), HasSubstr("two tokens with a space between")) << merge;
  }
  v.merges[0] = "ab \u4F60";
  EXPECT_THAT(ErrorOf(v),
              HasSubstr("tokenizer.ggml.merges[0] is \"ab \u4F60\", but \"\u4F60\" is"));
  v.merges[0] = "c d";
  EXPECT_THAT(ErrorOf(v), HasSubstr("\"cd\" is not one of the 258 tokens"));
}

TEST(BpeEncoder, RefusesMissingMergesAndUnknownPatterns) {
  TinyVocabulary v = BpeVocabulary({"a b"});
  GgufBuilder builder = v.Metadata();
  builder.Remove("tokenizer.ggml.merges");
  EXPECT_THAT(CreateTokenizer(builder).error().message,
              HasSubstr("tiny.gguf: tokenizer.ggml.merges is missing"));
  v.builder.SetString("tokenizer.ggml.pre", "gpt-9");
  EXPECT_THAT(ErrorOf(v), HasSubstr("tiny.gguf: tokenizer.ggml.pre is \"gpt-9\""));
  EXPECT_THAT(ErrorOf(v), HasSubstr(" qwen2,"));
}

TEST(BpeEncoder, WithoutAPatternNameTheDefaultIsUsed) {
  TinyVocabulary v = BpeVocabulary({"1 2", "12 3"});
  v.builder.Remove("tokenizer.ggml.pre");
  EXPECT_EQ(Pieces(v, "1231"), "123|1");
}

}  // namespace
}  // namespace lockstep
