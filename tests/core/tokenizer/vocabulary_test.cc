#include "core/tokenizer/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string ErrorOf(const GgufBuilder& builder) {
  const auto tokenizer = CreateTokenizer(builder);
  if (tokenizer) return "";
  EXPECT_EQ(tokenizer.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(tokenizer.error().message, HasSubstr("tiny.gguf"));
  return tokenizer.error().message;
}

TEST(Vocabulary, ByteTexts) {
  EXPECT_EQ(ByteOfText("<0x00>"), 0);
  EXPECT_EQ(ByteOfText("<0xAf>"), -1);
  EXPECT_EQ(ByteOfText("<0xFF>"), 255);
  EXPECT_EQ(ByteOfText("<0x9:>"), -1);
  EXPECT_EQ(ByteOfText("<0x0A"), -1);
  EXPECT_EQ(ByteOfText("<0x0A>>"), -1);
  EXPECT_EQ(ByteOfText(""), -1);
}

TEST(Vocabulary, RefusesAMissingOrUnknownModel) {
  GgufBuilder builder = SpmVocabulary({"a"}).Metadata();
  builder.SetString("tokenizer.ggml.model", "nobody");
  EXPECT_THAT(ErrorOf(builder), HasSubstr("tokenizer.ggml.model is \"nobody\""));
  builder.SetU32("tokenizer.ggml.model", 1);
  EXPECT_THAT(ErrorOf(builder), HasSubstr("tokenizer.ggml.model"));
  builder.Remove("tokenizer.ggml.model");
  EXPECT_THAT(ErrorOf(builder), HasSubstr("tokenizer.ggml.model is missing"));
}

TEST(Vocabulary, RefusesMissingEmptyOrMistypedTokens) {
  GgufBuilder builder = SpmVocabulary({"a"}).Metadata();
  builder.SetStrings("tokenizer.ggml.tokens", {});
  EXPECT_THAT(ErrorOf(builder), HasSubstr("tokenizer.ggml.tokens is missing or empty"));
  builder.Remove("tokenizer.ggml.tokens");
  EXPECT_THAT(ErrorOf(builder), HasSubstr("tokenizer.ggml.tokens is missing or empty"));
  builder.SetNumbers("tokenizer.ggml.tokens", 4, std::vector<uint32_t>{1, 2});
  EXPECT_THAT(ErrorOf(builder), HasSubstr("tokenizer.ggml.tokens"));
}

TEST(Vocabulary, RefusesAnotherNumberOfEmbeddings) {
  TinyVocabulary v = SpmVocabulary({"a"});
  v.builder.tensors.push_back(
      {.name = "token_embd.weight", .dims = {2, 261}, .type = 0, .data = std::string(2088, '\0')});
  EXPECT_THAT(ErrorOf(v.Metadata()),
              AllOf(HasSubstr("has 260 tokens"), HasSubstr("token_embd.weight has 261 rows")));
  v.Add("b", 1);
  EXPECT_EQ(ErrorOf(v.Metadata()), "");
}

TEST(Vocabulary, RefusesTextsThatAreNotUtf8OrNotUnique) {
  TinyVocabulary v = SpmVocabulary({"a", "b\xFF"});
  EXPECT_THAT(ErrorOf(v.Metadata()), HasSubstr("tokenizer.ggml.tokens[260] is \"b\\xff\""));
  v.tokens[260] = "<s>";
  EXPECT_THAT(ErrorOf(v.Metadata()),
              HasSubstr("tokenizer.ggml.tokens[260] is \"<s>\", as is token 1"));
}

TEST(Vocabulary, LimitsTheSizeOfTexts) {
  struct Case {
    int32_t type;
    size_t limit;
  };
  for (const auto [type, limit] : {Case{1, 4096}, Case{3, 256}, Case{4, 256}}) {
    TinyVocabulary v = SpmVocabulary({"a"});
    v.Add(std::string(limit, 'x'), type);
    EXPECT_EQ(ErrorOf(v.Metadata()), "");
    v.tokens.back() += 'x';
    EXPECT_THAT(ErrorOf(v.Metadata()),
                AllOf(HasSubstr("tokenizer.ggml.tokens[260] has " + std::to_string(limit + 1)),
                      HasSubstr("the limit is " + std::to_string(limit))));
  }
}

TEST(Vocabulary, RefusesBadTypes) {
  TinyVocabulary v = SpmVocabulary({"a"});
  for (const int32_t type : {-1, 7}) {
    v.types[259] = type;
    EXPECT_THAT(ErrorOf(v.Metadata()),
                HasSubstr("tokenizer.ggml.token_type[259] is " + std::to_string(type)));
  }
  v.types[259] = 6;
  EXPECT_THAT(ErrorOf(v.Metadata()),
              HasSubstr("tokenizer.ggml.tokens[259] is \"a\", but its type"));
  v.types.pop_back();
  EXPECT_THAT(ErrorOf(v.Metadata()), HasSubstr("tokenizer.ggml.token_type has 259 values"));
}

TEST(Vocabulary, TypesMayBeMissing) {
  GgufBuilder builder = SpmVocabulary({"▁", "a", "▁a"}).Metadata();
  builder.Remove("tokenizer.ggml.token_type");
  const auto tokenizer = CreateTokenizer(builder);
  ASSERT_TRUE(tokenizer.has_value());
  EXPECT_EQ(tokenizer->Encode("a\n", true), (std::vector<int32_t>{1, 261, 13}));
  EXPECT_TRUE(tokenizer->IsControl(2));
}

TEST(Vocabulary, RefusesIdsOutsideTheVocabulary) {
  for (const std::string role : {"bos", "eos", "unknown", "eot", "eom"}) {
    const std::string key = "tokenizer.ggml." + role + "_token_id";
    TinyVocabulary v = SpmVocabulary({"a"});
    v.builder.SetU32(key, 260);
    EXPECT_THAT(ErrorOf(v.Metadata()), AllOf(HasSubstr(key + " is 260"), HasSubstr("at most 259")));
    v.builder.Set(key, 5, LittleEndian(int32_t{-1}));
    EXPECT_THAT(ErrorOf(v.Metadata()), HasSubstr(key));
    v.builder.SetU32(key, 259);
    EXPECT_EQ(ErrorOf(v.Metadata()), "");
  }
}

TEST(Vocabulary, ThePadIsTheFilesOrBerts) {
  TinyVocabulary v = SpmVocabulary({"a"});
  EXPECT_EQ(CreateTokenizer(v.Metadata())->pad(), -1);
  v.builder.SetU32("tokenizer.ggml.padding_token_id", 2);
  EXPECT_EQ(CreateTokenizer(v.Metadata())->pad(), 2);
  // Some converters name none by a number that is none.
  v.builder.SetU32("tokenizer.ggml.padding_token_id", UINT32_MAX);
  EXPECT_EQ(CreateTokenizer(v.Metadata())->pad(), -1);
  TinyVocabulary bert;
  bert.builder.SetString("tokenizer.ggml.model", "bert");
  for (const char* text : {"[UNK]", "[CLS]", "[SEP]", "[PAD]"}) bert.Add(text, 3);
  EXPECT_EQ(CreateTokenizer(bert.Metadata())->pad(), 3);
}

TEST(Vocabulary, TokensOfGapsAreFoundByKeyOrByName) {
  constexpr int kNormal = 1, kControl = 3, kUserDefined = 4;
  TinyVocabulary v = SpmVocabulary({"a", "b", "c", "d"});
  const auto fill = [&v] {
    const auto tokenizer = CreateTokenizer(v.Metadata());
    EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    return tokenizer->fill_tokens();
  };
  EXPECT_FALSE(fill().can_fill());
  // A text alone makes no token control.
  v.Add("<PRE>", kNormal);
  EXPECT_EQ(fill().prefix, -1);
  const int32_t prefix = v.Add("<|fim_prefix|>", kControl);
  const int32_t suffix = v.Add("<fim_suffix>", kUserDefined);
  EXPECT_EQ(fill().prefix, prefix);
  EXPECT_EQ(fill().suffix, suffix);
  EXPECT_FALSE(fill().can_fill());
  v.builder.SetU32("tokenizer.ggml.middle_token_id", 259);
  v.builder.SetU32("tokenizer.ggml.fim_rep_token_id", 260);
  EXPECT_TRUE(fill().can_fill());
  EXPECT_EQ(fill().middle, 259);
  EXPECT_EQ(fill().repository, 260);
  EXPECT_EQ(fill().file, -1);
  EXPECT_TRUE(CreateTokenizer(v.Metadata())->IsControl(259));
  EXPECT_TRUE(CreateTokenizer(v.Metadata())->IsControl(suffix));
  // The newer key is asked first, and either before a name.
  v.builder.SetU32("tokenizer.ggml.fim_mid_token_id", 261);
  EXPECT_EQ(fill().middle, 261);
  v.builder.SetU32("tokenizer.ggml.prefix_token_id", 262);
  EXPECT_EQ(fill().prefix, 262);
  v.builder.SetU32("tokenizer.ggml.fim_sep_token_id", 100'000);
  EXPECT_THAT(ErrorOf(v.Metadata()), HasSubstr("tokenizer.ggml.fim_sep_token_id is 100000"));
}

TEST(Vocabulary, RefusesToAddTokensThatItDoesNotName) {
  for (const std::string role : {"bos", "eos"}) {
    TinyVocabulary v = SpmVocabulary({"a"});
    v.builder.SetBool("tokenizer.ggml.add_" + role + "_token", true);
    EXPECT_EQ(ErrorOf(v.Metadata()), "");
    v.builder.Remove("tokenizer.ggml." + role + "_token_id");
    EXPECT_THAT(ErrorOf(v.Metadata()), HasSubstr(role + "_token_id is missing"));
    v.builder.SetU32("tokenizer.ggml.add_" + role + "_token", 1);
    EXPECT_THAT(ErrorOf(v.Metadata()), HasSubstr("tokenizer.ggml.add_" + role + "_token"));
  }
}

}  // namespace
}  // namespace lockstep
