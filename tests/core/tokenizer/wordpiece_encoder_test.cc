#include "core/tokenizer/wordpiece_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/random.h"
#include "tests/support/tiny_vocabulary.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// [UNK], [CLS], [SEP], and pieces from id 3.
TinyVocabulary WordPiece(const std::vector<std::string>& pieces) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "bert");
  for (const char* text : {"[UNK]", "[CLS]", "[SEP]"}) v.Add(text, 3);
  for (const std::string& piece : pieces) v.Add(piece, 1);
  return v;
}

// Recorded from Hugging Face's tokenizers (tests/data/make_vocabularies.py).
TEST(WordPieceEncoder, GivesThePublishedTokenizersIds) {
  const std::string path = TestData("tales-wordpiece");
  const Tokenizer tokenizer = LoadTokenizer(path + ".gguf");
  const std::pair<std::string, std::string> kFiles[] = {
      {TestData("texts.inp"), path + ".out"}, {TestData("scripts.inp"), path + "-scripts.out"}};
  size_t texts = 0;
  for (const auto& [text_path, id_path] : kFiles) {
    for (const TokenizedText& expected : ReadTokenizedTexts(text_path, id_path)) {
      ++texts;
      EXPECT_EQ(tokenizer.Encode(expected.text, false, SpecialTokens::kParse), expected.ids)
          << expected.text;
    }
  }
  EXPECT_EQ(texts, 113u);
}

TEST(WordPieceEncoder, TheLongestPieceFirst) {
  const TinyVocabulary v = WordPiece({"▁a", "▁ab", "b", "c", "cd", "bcd", "▁abcx"});
  EXPECT_EQ(Pieces(v, "abcd"), "▁ab|cd");
  EXPECT_EQ(Pieces(v, "a abc"), "▁a|▁ab|c");
  EXPECT_EQ(Pieces(v, ""), "");
}

TEST(WordPieceEncoder, AWordOfWhichAnyPartIsUnknownIsUnknown) {
  const TinyVocabulary v = WordPiece({"▁a", "b", "▁,"});
  EXPECT_EQ(Pieces(v, "abq a"), "[UNK]|▁a");
  EXPECT_EQ(Pieces(v, "b,"), "[UNK]|▁,");  // a piece that goes on with a word begins none
}

TEST(WordPieceEncoder, WordsOfMoreThanAHundredCharacters) {
  const TinyVocabulary v = WordPiece({"▁é", "é"});
  TinyVocabulary cased = v;
  cased.builder.SetBool("tokenizer.ggml.normalizer.lowercase", false);
  std::string text;
  for (int i = 0; i < 100; ++i) text += "é";
  const auto count = [&](const std::string& of) {
    return CreateTokenizer(cased.Metadata())->Encode(of, false).size();
  };
  EXPECT_EQ(count(text), 100u);
  EXPECT_EQ(Pieces(cased, text + "é"), "[UNK]");
}

TEST(WordPieceEncoder, ATypedMarkMatchesNothing) {
  const TinyVocabulary v = WordPiece({"▁a", "a", "▁"});
  EXPECT_EQ(Pieces(v, "▁a a▁a aa"), "[UNK]|[UNK]|▁a|a");
}

TEST(WordPieceEncoder, CaseAndAccentsByTheFilesFlags) {
  TinyVocabulary v = WordPiece({"▁e", "▁é", "▁E", "▁É", "▁i", "̇"});
  EXPECT_EQ(Pieces(v, "É e İ"), "▁e|▁e|▁i");
  v.builder.SetBool("tokenizer.ggml.normalizer.lowercase", false);
  EXPECT_EQ(Pieces(v, "É e"), "▁É|▁e");
  v.builder.SetBool("tokenizer.ggml.normalizer.strip_accents", true);
  EXPECT_EQ(Pieces(v, "É e"), "▁E|▁e");
  v.builder.SetBool("tokenizer.ggml.normalizer.strip_accents", false);
  v.builder.SetBool("tokenizer.ggml.normalizer.lowercase", true);
  EXPECT_EQ(Pieces(v, "É e İ"), "▁é|▁e|▁i|̇");  // two code points
}

TEST(WordPieceEncoder, EachTextIsBetweenItsTwoTokens) {
  TinyVocabulary v = WordPiece({"▁a"});
  EXPECT_THAT(CreateTokenizer(v.Metadata())->Encode("a", true), ElementsAre(1, 3, 2));
  EXPECT_THAT(CreateTokenizer(v.Metadata())->Encode("", true), ElementsAre(1, 2));
  // What files say of adding is meant for pairs; the names of the two are the file's.
  v.builder.SetBool("tokenizer.ggml.add_eos_token", false);
  v.builder.SetU32("tokenizer.ggml.cls_token_id", 2);
  v.builder.SetU32("tokenizer.ggml.seperator_token_id", 1);
  EXPECT_THAT(CreateTokenizer(v.Metadata())->Encode("a", true), ElementsAre(2, 3, 1));
}

TEST(WordPieceEncoder, PlainTextIsNeverAControlToken) {
  const Tokenizer tokenizer = LoadTokenizer(TestData("tales-wordpiece.gguf"));
  constexpr std::string_view kPieces[] = {"the", "[CLS]", "[SEP]", " ",   "\xFF", "\xE2\x96",
                                          "é",   "각",    "你",    "ing", "",     "\xF0\x9F"};
  Random random(5);
  for (int round = 0; round < 1000; ++round) {
    std::string text;
    for (uint64_t n = random.Below(16); n > 0; --n)
      text += kPieces[random.Below(std::size(kPieces))];
    for (const int32_t id : tokenizer.Encode(text, false)) {
      EXPECT_TRUE(!tokenizer.IsControl(id) || tokenizer.TokenText(id) == "[UNK]") << text;
    }
  }
}

TEST(WordPieceEncoder, RefusesAVocabularyWithoutItsRoles) {
  EXPECT_EQ(ErrorOf(WordPiece({})), "");
  for (size_t i = 0; i < 3; ++i) {
    TinyVocabulary v = WordPiece({});
    v.tokens[i] = "x";
    EXPECT_THAT(ErrorOf(v), HasSubstr("is missing, and no token is \"["));
  }
  TinyVocabulary v = WordPiece({});
  v.builder.SetU32("tokenizer.ggml.seperator_token_id", 3);
  EXPECT_THAT(ErrorOf(v), HasSubstr("seperator_token_id is 3"));
  v.builder.SetString("tokenizer.ggml.seperator_token_id", "x");
  EXPECT_NE(ErrorOf(v), "");
  v.builder.SetU32("tokenizer.ggml.seperator_token_id", 2);
  v.builder.SetU32("tokenizer.ggml.normalizer.lowercase", 1);
  EXPECT_THAT(ErrorOf(v), HasSubstr("lowercase"));
}

}  // namespace
}  // namespace lockstep
