#include "core/tokenizer/sentencepiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(SentencePiece, ReplacesEveryOccurrence) {
  EXPECT_EQ(ReplaceAll("", " ", kEscapedSpace), "");
  EXPECT_EQ(ReplaceAll(" a  b ", " ", kEscapedSpace), "▁a▁▁b▁");
  EXPECT_EQ(ReplaceAll("▁a▁▁b▁", kEscapedSpace, " "), " a  b ");
  EXPECT_EQ(ReplaceAll("aaa", "aa", "b"), "ba");  // from the left, without overlap
}

TEST(SentencePiece, ScoresAreAsManyAsTokensAndFinite) {
  TinyVocabulary v = SpmVocabulary({"a"});
  EXPECT_EQ(ErrorOf(v), "");
  v.scores.back() = std::numeric_limits<float>::infinity();
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.scores[259] is inf: it must be finite"));
  v.scores.pop_back();
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.scores has 259 values"));
}

}  // namespace
}  // namespace lockstep
