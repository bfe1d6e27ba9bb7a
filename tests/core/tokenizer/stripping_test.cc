// The ids are those that the published tokenizers give.
#include "core/tokenizer/stripping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

std::vector<int32_t> Ids(const TinyVocabulary& v, std::string_view text) {
  const auto tokenizer = CreateTokenizer(v.Metadata());
  if (!tokenizer) return {-1};
  return tokenizer->Encode(text, /*add_special=*/false, SpecialTokens::kParse);
}

TinyVocabulary Bpe(const std::string& pre, const std::string& mask) {
  TinyVocabulary v = BpeVocabulary({"y e"});
  v.Add("[CLS]", 3);
  v.Add(mask, 3);
  v.builder.SetString("tokenizer.ggml.pre", pre);
  return v;
}

TEST(Stripping, AMaskSwallowsTheSpaceBeforeIt) {
  const TinyVocabulary v = Bpe("modern-bert", "[MASK]");
  const int32_t a = Ids(v, "a")[0], b = Ids(v, "b")[0], space = Ids(v, " ")[0];
  const int32_t mask = Ids(v, "[MASK]")[0], cls = Ids(v, "[CLS]")[0];
  EXPECT_THAT(Ids(v, "a [MASK]"), ElementsAre(a, mask));
  EXPECT_THAT(Ids(v, "a \t\r\n[MASK] b"), ElementsAre(a, mask, space, b));
  EXPECT_THAT(Ids(v, "a \u00A0\u0085\u3000[MASK]"), ElementsAre(a, mask));
  EXPECT_THAT(Ids(v, "[CLS]\n[MASK]"), ElementsAre(cls, mask));
  EXPECT_THAT(Ids(v, " [MASK] [MASK]"), ElementsAre(mask, mask));
  // Other tokens leave it, and so does a byte that is no character.
  EXPECT_THAT(Ids(v, "a [CLS]"), ElementsAre(a, space, cls));
  EXPECT_EQ(Ids(v, "a \x85[MASK]").size(), 4u);
}

TEST(Stripping, TheMaskIsTheTokenizersOwn) {
  for (const char* pre : {"roberta-bpe", "jina-v2-code", "jina-v2-de"}) {
    EXPECT_EQ(Ids(Bpe(pre, "<mask>"), "a <mask>").size(), 2u) << pre;
    EXPECT_EQ(Ids(Bpe(pre, "[MASK]"), "a [MASK]").size(), 3u) << pre;
  }
  EXPECT_EQ(Ids(Bpe("gpt-2", "<mask>"), "a <mask>").size(), 3u);
  EXPECT_EQ(Ids(Bpe("modern-bert", "<mask>"), "a <mask>").size(), 3u);
}

TEST(Stripping, XlmRobertasMask) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "t5");
  v.builder.SetU32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(v.Add("</s>", 3)));
  v.builder.SetU32("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(v.Add("<unk>", 2)));
  for (const char* text : {"▁", "▁a"}) v.Add(text, 1, -1);
  v.Add("<mask>", 3);
  v.builder.SetBool("tokenizer.ggml.add_space_prefix", true);
  v.builder.SetBool("tokenizer.ggml.remove_extra_whitespaces", true);
  EXPECT_THAT(Ids(v, "a  <mask> a"), ElementsAre(3, 4, 3));
}

}  // namespace
}  // namespace lockstep
