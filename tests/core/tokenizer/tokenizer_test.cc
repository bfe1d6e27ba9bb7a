#include "core/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/random.h"
#include "tests/support/tiny_vocabulary.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<int32_t>;

Tokenizer MustCreate(const GgufBuilder& builder) {
  auto tokenizer = CreateTokenizer(builder);
  EXPECT_TRUE(tokenizer.has_value()) << (tokenizer ? "" : tokenizer.error().message);
  return *std::move(tokenizer);
}

class SmallVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(SmallVocabulary, GivesThePeersIds) {
  const std::string path = TestData(GetParam());
  const Tokenizer tokenizer = LoadTokenizer(path + ".gguf");
  const auto texts = ReadTokenizedTexts(TestData("texts.inp"), path + ".out");
  EXPECT_EQ(texts.size(), 48u);
  for (const TokenizedText& expected : texts) {
    EXPECT_EQ(tokenizer.Encode(expected.text, false), expected.ids) << expected.text;
  }
}

// Valid or not, text comes back from its tokens, and never contains a control token.
TEST_P(SmallVocabulary, DecodeUndoesEncode) {
  constexpr std::string_view kPieces[] = {
      "the",  " king",    " ",        "  ",   "\n",    "q",          "123",    "é",
      "你好", "🚀",        "<s>",      "</s>", "[GAP]", "<|im_end|>", "<0x0A>", "\xFF",
      "\xC3", "\xE2\x96", "\xF0\x9F", "\x80", "'s",    "\r"};
  const Tokenizer tokenizer = LoadTokenizer(TestData(GetParam()) + ".gguf");
  Random random(11);
  for (int round = 0; round < 1000; ++round) {
    std::string text;
    for (uint64_t n = random.Below(16); n > 0; --n) {
      text += kPieces[random.Below(std::size(kPieces))];
    }
    const Ids ids = tokenizer.Encode(text, false);
    for (const int32_t id : ids) ASSERT_FALSE(tokenizer.IsControl(id)) << text;
    EXPECT_EQ(tokenizer.Decode(ids), text);
  }
}

TEST_P(SmallVocabulary, LongEqualTexts) {
  const Tokenizer tokenizer = LoadTokenizer(TestData(GetParam()) + ".gguf");
  for (const std::string_view unit : {"a", " ", "\n", "us", "\xFF"}) {
    std::string text;
    while (text.size() < 256 * 1024) text += unit;
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, false)), text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SmallVocabulary, testing::Values("tales-spm", "tales-bpe"));

TEST(UnigramVocabulary, GivesThePeersIds) {
  const std::string path = TestData("tales-unigram");
  const Tokenizer tokenizer = LoadTokenizer(path + ".gguf");
  const auto texts = ReadTokenizedTexts(TestData("texts.inp"), path + ".out");
  EXPECT_EQ(texts.size(), 48u);
  for (const TokenizedText& expected : texts) {
    EXPECT_EQ(tokenizer.Encode(expected.text, false), expected.ids) << expected.text;
  }
  std::string text;
  while (text.size() < 100'000) text += "ﷺ a";  // each becomes ten times as long
  EXPECT_FALSE(tokenizer.Encode(text, false).empty());
}

TEST(Tokenizer, BosAndEosAreAddedWhereTheFileSaysSo) {
  TinyVocabulary v = SpmVocabulary({"▁", "a", "▁a"});
  EXPECT_THAT(MustCreate(v.Metadata()).Encode("a", true), ElementsAre(1, 261));
  EXPECT_THAT(MustCreate(v.Metadata()).Encode("a", false), ElementsAre(261));
  EXPECT_THAT(MustCreate(v.Metadata()).Encode("", true), ElementsAre(1));
  EXPECT_THAT(MustCreate(v.Metadata()).Encode("", false), IsEmpty());
  v.builder.SetBool("tokenizer.ggml.add_bos_token", false);
  v.builder.SetBool("tokenizer.ggml.add_eos_token", true);
  EXPECT_THAT(MustCreate(v.Metadata()).Encode("a", true), ElementsAre(261, 2));

  TinyVocabulary bpe = BpeVocabulary({"h i"});
  EXPECT_THAT(MustCreate(bpe.Metadata()).Encode("hi", true), ElementsAre(256));
  bpe.builder.SetString("tokenizer.ggml.pre", "llama-bpe");  // Llama 3 adds it unless told not to
  EXPECT_THAT(MustCreate(bpe.Metadata()).Encode("hi", true), ElementsAre(257, 256));
}

TEST(Tokenizer, ControlTokensAreMadeFromTextOnRequestOnly) {
  TinyVocabulary v = BpeVocabulary({"h i"});
  v.Add("<|user|>", 3);    // 258
  v.Add("<|user|>hi", 3);  // 259
  v.Add("<|end|>", 4);     // 260: a control token, whatever the file says
  v.Add("[GAP]", 4);       // 261: truly the user's
  const Tokenizer tokenizer = MustCreate(v.Metadata());
  const std::string text = "<|user|>hi<|user|>[GAP]hi<|end|><|endoftext|>";
  EXPECT_THAT(tokenizer.Encode(text, false, SpecialTokens::kParse),
              ElementsAre(259, 258, 261, 256, 260, 257));
  const Ids plain = tokenizer.Encode(text, false);
  for (const int32_t id : plain) EXPECT_TRUE(id < 257 || id == 261) << id;
  EXPECT_EQ(tokenizer.Decode(plain), text);

  EXPECT_TRUE(tokenizer.IsControl(258));
  EXPECT_TRUE(tokenizer.IsControl(260));
  EXPECT_FALSE(tokenizer.IsControl(261));
  EXPECT_FALSE(tokenizer.IsControl(256));
}

TEST(Tokenizer, NoMergeMakesAControlToken) {
  // "</" and "s>" are pieces, and together they are </s>, of the best score of all.
  const TinyVocabulary spm = SpmVocabulary({"<", "/", "s", ">", "</", "s>"});
  EXPECT_THAT(MustCreate(spm.Metadata()).Encode("</s>", false),
              ElementsAre(3 + 0xE2, 3 + 0x96, 3 + 0x81, 263, 264));
  TinyVocabulary bpe = BpeVocabulary({"a b"});
  bpe.types[256] = 3;
  EXPECT_THAT(MustCreate(bpe.Metadata()).Encode("ab", false), ElementsAre('a', 'b'));
}

TEST(Tokenizer, KnowsWhatEndsAGeneration) {
  TinyVocabulary v = SpmVocabulary({"a"});
  const int32_t turn = v.Add("<|im_end|>", 1);  // a control token by its text alone
  const int32_t eot = v.Add("DONE", 1);
  const int32_t user = v.Add("<|user|>", 3);
  v.builder.SetU32("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(eot));
  const Tokenizer tokenizer = MustCreate(v.Metadata());
  for (const int32_t id : {2, turn, eot}) EXPECT_TRUE(tokenizer.IsEndOfGeneration(id)) << id;
  for (const int32_t id : {0, 1, 259, user}) EXPECT_FALSE(tokenizer.IsEndOfGeneration(id)) << id;
  EXPECT_TRUE(tokenizer.IsControl(eot));
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.eos(), 2);
  EXPECT_EQ(tokenizer.vocab_size(), 263u);
}

// Gemma's vocabulary has the tags of HTML: "<s>" strikes out, and "</s>" ends that, no answer.
TEST(Tokenizer, TextsAloneMakeNoControlTokens) {
  TinyVocabulary v = BpeVocabulary({"h i"});
  const int32_t strike = v.Add("<s>", 4), end = v.Add("</s>", 4), bold = v.Add("<b>", 4);
  const int32_t eos = v.Add("<eos>", 4), turn = v.Add("<end_of_turn>", 3);
  const int32_t tag = v.Add("<|EOT|>", 4);  // so DeepSeek Coder's file has the end of its turns
  v.builder.SetU32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(eos));
  const Tokenizer tokenizer = MustCreate(v.Metadata());
  const std::string text = "<s>hi</s><b><eos><end_of_turn><|EOT|>";
  const Ids ids = tokenizer.Encode(text, false);
  EXPECT_THAT(std::vector(ids.begin(), ids.begin() + 4), ElementsAre(strike, 256, end, bold));
  EXPECT_EQ(tokenizer.Decode(ids), text);
  for (const int32_t id : {strike, end, bold}) {
    EXPECT_FALSE(tokenizer.IsControl(id)) << id;
    EXPECT_FALSE(tokenizer.IsEndOfGeneration(id)) << id;
  }
  for (const int32_t id : {eos, turn, tag}) {
    EXPECT_TRUE(tokenizer.IsControl(id)) << id;
    EXPECT_TRUE(tokenizer.IsEndOfGeneration(id)) << id;
    EXPECT_EQ(std::count(ids.begin(), ids.end(), id), 0) << id;
  }
}

// gpt-oss: an answer has several messages.
TEST(Tokenizer, TheEndOfAMessageIsNotTheEndOfTheAnswer) {
  TinyVocabulary v = BpeVocabulary({"h i"});
  const int32_t end = v.Add("<|end|>", 3);
  EXPECT_TRUE(MustCreate(v.Metadata()).IsEndOfGeneration(end));
  v.Add("<|call|>", 3);
  const int32_t result = v.Add("<|return|>", 3);
  EXPECT_FALSE(MustCreate(v.Metadata()).IsEndOfGeneration(end));
  EXPECT_TRUE(MustCreate(v.Metadata()).IsEndOfGeneration(result));
}

TEST(Tokenizer, Phi3DropsSpaceAfterSpecialTokens) {
  TinyVocabulary v = BpeVocabulary({"h i"});
  const int32_t user = v.Add("<|user|>", 3);
  const auto encode = [&] {
    return MustCreate(v.Metadata())
        .Encode("<|user|> \n\thi <|endoftext|> ", false, SpecialTokens::kParse);
  };
  EXPECT_THAT(encode(), ElementsAre(user, ' ', '\n', '\t', 256, ' ', 257, ' '));
  v.builder.SetString("general.name", "Phi-3 Mini");
  EXPECT_THAT(encode(), ElementsAre(user, 256, ' ', 257, ' '));
}

TEST(Tokenizer, QwensTextIsComposed) {
  TinyVocabulary v = BpeVocabulary({"Ã ©"});
  EXPECT_THAT(MustCreate(v.Metadata()).Encode("e\u0301", false), ElementsAre('e', 0xCC, 0x81));
  v.builder.SetString("tokenizer.ggml.pre", "qwen2");
  EXPECT_THAT(MustCreate(v.Metadata()).Encode("e\u0301", false), ElementsAre(256));
}

TEST(Tokenizer, WithoutRolesInTheFileThereAreNone) {
  TinyVocabulary v = SpmVocabulary({"▁a"});
  v.builder.Remove("tokenizer.ggml.bos_token_id");
  v.builder.Remove("tokenizer.ggml.eos_token_id");
  const Tokenizer tokenizer = MustCreate(v.Metadata());
  EXPECT_EQ(tokenizer.bos(), -1);
  EXPECT_EQ(tokenizer.eos(), -1);
  EXPECT_THAT(tokenizer.Encode("a", true), ElementsAre(259));
}

TEST(Tokenizer, TextsAndBytesOfTokens) {
  TinyVocabulary spm = SpmVocabulary({"▁the▁"});
  const int32_t literal = spm.Add("▁lit", 4);
  const Tokenizer a = MustCreate(spm.Metadata());
  EXPECT_EQ(a.TokenText(259), "▁the▁");
  EXPECT_EQ(a.TokenBytes(259), " the ");
  EXPECT_EQ(a.TokenText(13), "<0x0A>");
  EXPECT_EQ(a.TokenBytes(13), "\n");
  EXPECT_EQ(a.TokenBytes(3 + 0xFF), "\xFF");
  EXPECT_EQ(a.TokenBytes(literal), "▁lit");
  for (const int32_t id : {0, 1, 2}) EXPECT_EQ(a.TokenBytes(id), "");
  EXPECT_EQ(a.TokenText(2), "</s>");

  const Tokenizer b = MustCreate(BpeVocabulary({"Ġ t", "Ã ©"}).Metadata());
  EXPECT_EQ(b.TokenBytes(256), " t");
  EXPECT_EQ(b.TokenText(256), "Ġt");
  EXPECT_EQ(b.TokenBytes(257), "é");
  EXPECT_EQ(b.TokenBytes(258), "");
}

TEST(Tokenizer, StreamedBytesAreTheDecodedText) {
  const Tokenizer tokenizer = LoadTokenizer(TestData("tales-bpe.gguf"));
  const std::string text = "The king 🚀 said: 你好, é!";
  Utf8Assembler assembler;
  std::string streamed;
  for (const int32_t id : tokenizer.Encode(text, false)) {
    streamed += assembler.Push(tokenizer.TokenBytes(id));
  }
  EXPECT_EQ(streamed + assembler.Finish(), text);
}

TEST(Tokenizer, OutlivesMoves) {
  Tokenizer a = MustCreate(SpmVocabulary({"▁", "x", "▁x"}).Metadata());
  Tokenizer b = std::move(a);
  a = std::move(b);
  EXPECT_THAT(a.Encode("x", false), ElementsAre(261));
}

}  // namespace
}  // namespace lockstep
