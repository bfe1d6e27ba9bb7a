#include "core/tokenizer/unigram_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/tokenizer/charsmap.h"
#include "tests/support/random.h"
#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// <pad>, </s>, <unk>, and pieces with the scores that follow them.
TinyVocabulary Unigram(const std::vector<std::pair<std::string, float>>& pieces) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "t5");
  v.Add("<pad>", 3);
  v.builder.SetU32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(v.Add("</s>", 3)));
  v.builder.SetU32("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(v.Add("<unk>", 2)));
  for (const auto& [text, score] : pieces) v.Add(text, 1, score);
  return v;
}

TEST(UnigramEncoder, TheGreatestSumOfScores) {
  const TinyVocabulary v =
      Unigram({{"a", -3}, {"b", -3}, {"c", -3}, {"ab", -4}, {"bc", -3.5f}, {"abc", -8}});
  EXPECT_EQ(Pieces(v, "abc"), "a|bc");    // -6.5
  EXPECT_EQ(Pieces(v, "abab"), "ab|ab");  // -8
  EXPECT_EQ(Pieces(v, ""), "");
}

TEST(UnigramEncoder, UnknownCharactersAreOneToken) {
  const TinyVocabulary v = Unigram({{"a", -3}, {"é", -3}});
  EXPECT_EQ(Pieces(v, "a你好a\xFF"), "a|<unk>|a|<unk>");
  EXPECT_EQ(Pieces(v, "é\xC3"), "é|<unk>");
}

TEST(UnigramEncoder, SpacesByTheFilesFlags) {
  TinyVocabulary v = Unigram({{"▁", -2}, {"a", -3}, {"▁a", -3}});
  EXPECT_EQ(Pieces(v, " a  a "), "▁a|▁|▁a|▁");
  v.builder.SetBool("tokenizer.ggml.add_space_prefix", true);
  EXPECT_EQ(Pieces(v, "a  a "), "▁a|▁|▁a|▁");
  v.builder.SetBool("tokenizer.ggml.remove_extra_whitespaces", true);
  EXPECT_EQ(Pieces(v, "  a  a "), "▁a|▁a");
  const auto tokenizer = CreateTokenizer(v.Metadata());
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a  a", false)), "a a");
  EXPECT_EQ(tokenizer->Encode("a", true), (std::vector<int32_t>{5, 1}));  // EOS unless told not to
}

TEST(UnigramEncoder, UserDefinedTokensAreNeverCut) {
  TinyVocabulary v = Unigram({{"a", -0.1f}, {"b", -0.1f}});
  v.Add("ab", 4, -50);
  EXPECT_EQ(Pieces(v, "aabb"), "a|ab|b");
}

TEST(UnigramEncoder, RefusesAVocabularyWithoutAnUnknownToken) {
  TinyVocabulary v = Unigram({{"a", -3}});
  v.builder.Remove("tokenizer.ggml.unknown_token_id");
  EXPECT_EQ(ErrorOf(v), "");  // its type tells
  v.types[2] = 3;
  EXPECT_THAT(ErrorOf(v), HasSubstr("unknown_token_id is missing"));
}

// A charsmap with one text, "x", whose replacement is `normal`: the root at 0, the node of "x" and
// its leaf.
std::string MapOfX(std::string_view normal) {
  std::vector<uint32_t> nodes(256);
  nodes[0] = 1u << 10;                        // children at 1 ^ byte
  nodes[1 ^ 'x'] = 2u << 10 | 1u << 8 | 'x';  // its leaf at index ^ 2
  nodes[1 ^ 'x' ^ 2] = 1u << 31;              // the replacement at 0
  std::string bytes = LittleEndian<uint32_t>(static_cast<uint32_t>(nodes.size() * 4));
  for (const uint32_t node : nodes) bytes += LittleEndian(node);
  return bytes.append(normal) + std::string(1, '\0');
}

TEST(Charsmap, ReplacesBeforeCutting) {
  TinyVocabulary v = Unigram({{"a", -3}, {"b", -3}, {"x", -3}});
  const auto set = [&](const std::string& map) {
    v.builder.SetArray("tokenizer.ggml.precompiled_charsmap", 0, map.size(), map);
  };
  EXPECT_EQ(Pieces(v, "axa"), "a|x|a");
  set(MapOfX("bb"));
  EXPECT_EQ(Pieces(v, "axa"), "a|b|b|a");
  set(MapOfX(""));
  EXPECT_EQ(Pieces(v, "axa"), "a|a");
}

// Whatever the bytes of a map, nothing outside it is read.
TEST(Charsmap, BadMaps) {
  TinyVocabulary v = Unigram({{"a", -3}});
  const auto error_with = [&](const std::string& map) {
    v.builder.SetArray("tokenizer.ggml.precompiled_charsmap", 0, map.size(), map);
    return ErrorOf(v);
  };
  const std::string good = MapOfX("b");
  EXPECT_EQ(error_with(good), "");
  EXPECT_EQ(error_with(""), "");
  for (const std::string& bad : {good.substr(0, 3), good.substr(0, 500), good + "x",
                                 LittleEndian(1020u) + good.substr(4, 1020),
                                 LittleEndian(UINT32_MAX) + good.substr(4), std::string(8, '\0')}) {
    EXPECT_THAT(error_with(bad), HasSubstr("precompiled_charsmap has"));
  }
  Random random(9);
  for (int round = 0; round < 50; ++round) {
    std::string map = good;
    for (size_t i = 4; i + 3 < map.size(); ++i) {
      if (random.Below(3) == 0) map[i] = static_cast<char>(random.Below(256));
    }
    v.builder.SetArray("tokenizer.ggml.precompiled_charsmap", 0, map.size(), map);
    EXPECT_FALSE(Pieces(v, "axbxcdefghijklmnopqrstuvwxyz \xFF éxx").empty());
  }
}

}  // namespace
}  // namespace lockstep
