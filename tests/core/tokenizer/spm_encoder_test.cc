#include "core/tokenizer/spm_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SpmEncoder, BestScoreFirstThenLeftmost) {
  // Scores fall along the list.
  const TinyVocabulary v = SpmVocabulary({"bc", "ab", "cd", "abc", "▁", "a", "b", "c", "d", "aa"});
  EXPECT_EQ(Pieces(v, "abcd"), "▁|abc|d");  // bc, then abc, though ab and cd would fit
  EXPECT_EQ(Pieces(v, "abd"), "▁|ab|d");
  EXPECT_EQ(Pieces(v, "aaa"), "▁|aa|a");
}

TEST(SpmEncoder, SpacesAndThePrefix) {
  TinyVocabulary v = SpmVocabulary({"▁", "▁▁", "a", "▁a"});
  EXPECT_EQ(Pieces(v, "a a"), "▁a|▁a");
  EXPECT_EQ(Pieces(v, " a"), "▁▁|a");
  EXPECT_EQ(Pieces(v, " "), "▁▁");
  v.builder.SetBool("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(Pieces(v, "a a"), "a|▁a");
}

TEST(SpmEncoder, CharactersOutsideTheVocabularyBecomeBytes) {
  const TinyVocabulary v = SpmVocabulary({"▁", "é"});
  EXPECT_EQ(Pieces(v, "éè"), "▁|é|<0xC3>|<0xA8>");
  EXPECT_EQ(Pieces(v, "\n"), "▁|<0x0A>");
  EXPECT_EQ(Pieces(v, "<0x0A>"), "▁|<0x3C>|<0x30>|<0x78>|<0x30>|<0x41>|<0x3E>");
}

TEST(SpmEncoder, InvalidBytesStandAlone) {
  const TinyVocabulary v = SpmVocabulary({"▁", "é"});
  EXPECT_EQ(Pieces(v, "\xC3é\xA9\xFF"), "▁|<0xC3>|é|<0xA9>|<0xFF>");
}

TEST(SpmEncoder, WithoutByteTokensTheUnknownTokenStandsIn) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "llama");
  v.builder.SetU32("tokenizer.ggml.unknown_token_id", 0);
  v.Add("<unk>", 2);
  v.Add("▁", 1);
  v.Add("a", 1);
  EXPECT_EQ(Pieces(v, "aé\xFF"), "▁|a|<unk>|<unk>");
  v.Add("\uFFFD", 1);
  EXPECT_EQ(Pieces(v, "aé\xFF"), "▁|a|<unk>|\uFFFD");
  v.builder.Remove("tokenizer.ggml.unknown_token_id");
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.unknown_token_id is missing"));
}

TEST(SpmEncoder, RefusesIncompleteByteTokens) {
  TinyVocabulary v = SpmVocabulary({"a"});
  v.tokens[3 + 0x7F] = "other";
  v.types[3 + 0x7F] = 1;
  EXPECT_THAT(ErrorOf(v), HasSubstr("has 255 byte tokens"));
}

TEST(SpmEncoder, RefusesBadScores) {
  TinyVocabulary v = SpmVocabulary({"a"});
  v.scores.pop_back();
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.scores has 259 values, but "
                                    "tokenizer.ggml.tokens has 260"));
  v.scores.push_back(NAN);
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.scores[259] is nan"));
  v.scores.back() = -INFINITY;
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.scores[259] is -inf"));
}

}  // namespace
}  // namespace lockstep
