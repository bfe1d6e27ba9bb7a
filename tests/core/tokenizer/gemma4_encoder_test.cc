#include "core/tokenizer/gemma4_encoder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// <pad>, <eos>, <bos>, the 256 bytes from id 3, then the pieces.
TinyVocabulary Gemma4Vocabulary(const std::vector<std::string>& pieces,
                                const std::vector<std::string>& merges) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "gemma4");
  v.Add("<pad>", 3);
  v.builder.SetU32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(v.Add("<eos>", 3)));
  v.builder.SetU32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(v.Add("<bos>", 3)));
  for (int byte = 0; byte < 256; ++byte) v.Add(fmt::format("<0x{:02X}>", byte), 6);
  for (const std::string& piece : pieces) v.Add(piece, 1);
  v.merges = merges;
  return v;
}

TEST(Gemma4Encoder, MergesGoInTheOrderOfTheList) {
  const TinyVocabulary v = Gemma4Vocabulary({"a", "b", "c", "d", "bc", "ab", "abc", "abcd"},
                                            {"b c", "a b", "a bc", "abc d"});
  EXPECT_EQ(Pieces(v, "abcd"), "abcd");
  EXPECT_EQ(Pieces(v, "abd"), "ab|d");
  EXPECT_EQ(Pieces(v, "abab"), "ab|ab");
}

TEST(Gemma4Encoder, SpacesAreEscapedAndNoneIsAdded) {
  const TinyVocabulary v = Gemma4Vocabulary({"▁", "a", "▁a", "▁▁"}, {"▁ a", "▁ ▁"});
  EXPECT_EQ(Pieces(v, "a a"), "a|▁a");
  EXPECT_EQ(Pieces(v, "  a"), "▁|▁a");
  EXPECT_EQ(Pieces(v, "▁a"), "▁a");
  const auto tokenizer = CreateTokenizer(v.Metadata());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(" a  a", false)), " a  a");
}

// A run that is a token is taken whole, though no merge makes it; no merge goes over its border.
TEST(Gemma4Encoder, NewlinesAreWordsOfTheirOwn) {
  const TinyVocabulary v =
      Gemma4Vocabulary({"\n", "\n\n", "\n\n\n", "a", "a\n"}, {"a \n", "\n \n"});
  EXPECT_EQ(Pieces(v, "a\n"), "a|\n");
  EXPECT_EQ(Pieces(v, "a\n\n\na"), "a|\n\n\n|a");
  EXPECT_EQ(Pieces(v, "\n\n\n\n"), "\n\n|\n\n");
}

TEST(Gemma4Encoder, CharactersOutsideTheVocabularyBecomeBytes) {
  const TinyVocabulary v = Gemma4Vocabulary({"a", "é", "aé"}, {"a é"});
  EXPECT_EQ(Pieces(v, "aéè"), "aé|<0xC3>|<0xA8>");
  EXPECT_EQ(Pieces(v,
                   "\xC3"
                   "a\xFF\n"),
            "<0xC3>|a|<0xFF>|<0x0A>");
}

TEST(Gemma4Encoder, BosIsAlwaysAdded) {
  TinyVocabulary v = Gemma4Vocabulary({"a"}, {});
  v.merges = {"a a"};
  v.Add("aa", 1);
  v.builder.SetBool("tokenizer.ggml.add_bos_token", false);
  auto tokenizer = CreateTokenizer(v.Metadata());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_THAT(tokenizer->Encode("a", true), ElementsAre(2, 259));
  v.builder.Remove("tokenizer.ggml.bos_token_id");
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.bos_token_id is missing"));
}

// What ends a generation: a closing tag of HTML does not, a result that is to follow does.
TEST(Gemma4Encoder, EndsOfGeneration) {
  TinyVocabulary v = Gemma4Vocabulary({"a", "aa"}, {"a a"});
  const int32_t tag = v.Add("</s>", 3), turn = v.Add("<turn|>", 3);
  const int32_t result = v.Add("<|tool_response>", 4), call = v.Add("<|tool_call>", 4);
  const auto tokenizer = CreateTokenizer(v.Metadata());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(tag));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(turn));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(result));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(call));
  EXPECT_EQ(tokenizer->TokenBytes(call), "<|tool_call>");
}

TEST(Gemma4Encoder, ATagThatAKeyNamesIsAnEnd) {
  TinyVocabulary v = Gemma4Vocabulary({"a", "aa"}, {"a a"});
  const int32_t tag = v.Add("</s>", 3);
  v.builder.SetU32("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(tag));
  const auto tokenizer = CreateTokenizer(v.Metadata());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(tag));
}

TEST(Gemma4Encoder, MergesMustBeThere) {
  TinyVocabulary v = Gemma4Vocabulary({"a"}, {});
  EXPECT_THAT(ErrorOf(v), HasSubstr("a tokenizer of model \"gemma4\" needs it"));
  v.merges = {"a b"};
  EXPECT_THAT(ErrorOf(v), HasSubstr("\"b\" is not one of the 260 tokens"));
}

}  // namespace
}  // namespace lockstep
