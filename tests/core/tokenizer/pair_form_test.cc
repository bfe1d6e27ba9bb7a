// Two texts as one, in the forms of the tokenizers that models of each kind were published with.
#include "core/tokenizer/pair_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// The tokens of a pair with bars between them, and two before the first of the second type.
std::string Pair(const TinyVocabulary& v, std::string_view query, std::string_view document,
                 const PairLimits& limits = {}) {
  const auto tokenizer = CreateTokenizer(v.Metadata());
  if (!tokenizer) return tokenizer.error().message;
  const TokenizedPair pair = tokenizer->EncodePair(query, document, limits);
  std::string text;
  for (size_t i = 0; i < pair.ids.size(); ++i) {
    if (i > 0) text += i == pair.second ? "||" : "|";
    text += tokenizer->TokenText(pair.ids[i]);
  }
  return text;
}

TinyVocabulary WordPiece() {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "bert");
  for (const char* text : {"[UNK]", "[CLS]", "[SEP]"}) v.Add(text, 3);
  for (const char* text : {"▁a", "▁b", "▁c", "▁["}) v.Add(text, 1);
  return v;
}

TEST(PairForm, TheSecondTextOfWordPieceHasATypeOfItsOwn) {
  TinyVocabulary v = WordPiece();
  EXPECT_EQ(Pair(v, "a b", "c a"), "[CLS]|▁a|▁b|[SEP]||▁c|▁a|[SEP]");
  EXPECT_EQ(Pair(v, "", ""), "[CLS]|[SEP]||[SEP]");
  // Old files ask for a separator, and new ones for none.
  for (const bool separates : {true, false}) {
    v.builder.SetBool("tokenizer.ggml.add_sep_token", separates);
    EXPECT_EQ(Pair(v, "a", "c"), "[CLS]|▁a|[SEP]||▁c|[SEP]");
  }
}

TEST(PairForm, WhatTextsSpellIsText) {
  EXPECT_EQ(Pair(WordPiece(), "[SEP]", "a"), "[CLS]|▁[|[UNK]|[UNK]|[SEP]||▁a|[SEP]");
}

TEST(PairForm, ALongDocumentIsCutAtItsEnd) {
  const TinyVocabulary v = WordPiece();
  EXPECT_EQ(Pair(v, "a", "a b c", {.all = 7}), "[CLS]|▁a|[SEP]||▁a|▁b|▁c|[SEP]");
  EXPECT_EQ(Pair(v, "a", "a b c", {.all = 6}), "[CLS]|▁a|[SEP]||▁a|▁b|[SEP]");
  EXPECT_EQ(Pair(v, "a", "a b c", {.all = 4}), "[CLS]|▁a|[SEP]||[SEP]");
  EXPECT_EQ(Pair(v, "a", "a b c", {.all = 3}), "[CLS]|▁a|[SEP]||▁a|▁b|▁c|[SEP]");
  EXPECT_EQ(Pair(v, "a b", "a b c", {.document = 2}), "[CLS]|▁a|▁b|[SEP]||▁a|▁b|[SEP]");
  EXPECT_EQ(Pair(v, "a b", "a b c", {.document = 3}), "[CLS]|▁a|▁b|[SEP]||▁a|▁b|▁c|[SEP]");
  EXPECT_EQ(Pair(v, "a b", "a b c", {6, 2}), "[CLS]|▁a|▁b|[SEP]||▁a|[SEP]");
  EXPECT_EQ(Pair(v, "a b", "a b c", {3, 2}), "[CLS]|▁a|▁b|[SEP]||▁a|▁b|[SEP]");
}

TEST(PairForm, ALongQueryIsCutWhereItMayBe) {
  const TinyVocabulary v = WordPiece();
  EXPECT_EQ(Pair(v, "a b c", "a", {.all = 6, .query = true}), "[CLS]|▁a|▁b|[SEP]||▁a|[SEP]");
  EXPECT_EQ(Pair(v, "a b c", "a b", {.all = 5, .query = true, .begin = true}),
            "[CLS]|▁c|[SEP]||▁b|[SEP]");
}

TEST(PairForm, XlmRobertaSeparatesTwice) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "t5");
  v.builder.SetU32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(v.Add("<s>", 3)));
  v.builder.SetU32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(v.Add("</s>", 3)));
  v.builder.SetU32("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(v.Add("<unk>", 2)));
  for (const char* text : {"▁a", "▁b"}) v.Add(text, 1, -1);
  v.builder.SetBool("tokenizer.ggml.add_bos_token", true);
  v.builder.SetBool("tokenizer.ggml.add_eos_token", true);
  v.builder.SetBool("tokenizer.ggml.add_space_prefix", true);
  EXPECT_EQ(Pair(v, "a", "b a"), "<s>|▁a|</s>|</s>|▁b|▁a|</s>");
  // Some converters name no separator by a number that is none.
  v.builder.SetU32("tokenizer.ggml.seperator_token_id", UINT32_MAX);
  EXPECT_EQ(Pair(v, "a", "b"), "<s>|▁a|</s>|</s>|▁b|</s>");
}

TinyVocabulary Bpe() {
  TinyVocabulary v = BpeVocabulary({"y e", "ye s", "Ġ a"});
  for (const char* text : {"<|im_start|>", "<|im_end|>"}) v.Add(text, 3);
  return v;
}

TEST(PairForm, ByteLevelVocabulariesByTheirPreTokenizer) {
  TinyVocabulary v = BpeVocabulary({"y e"});
  for (const char* text : {"[CLS]", "[SEP]"}) v.Add(text, 3);
  v.builder.SetU32("tokenizer.ggml.bos_token_id", 258);
  v.builder.SetU32("tokenizer.ggml.eos_token_id", 259);
  for (const char* key : {"add_bos_token", "add_eos_token", "add_sep_token"}) {
    v.builder.SetBool(std::string("tokenizer.ggml.") + key, true);
  }
  v.builder.SetString("tokenizer.ggml.pre", "modern-bert");
  EXPECT_EQ(Pair(v, "a", "b"), "[CLS]|a|[SEP]|b|[SEP]");
  v.builder.SetString("tokenizer.ggml.pre", "roberta-bpe");
  EXPECT_EQ(Pair(v, "a", "b"), "[CLS]|a|[SEP]|[SEP]|b|[SEP]");
}

TEST(PairForm, ATemplateIsTheFilesAndTheTextsAreNot) {
  TinyVocabulary v = Bpe();
  v.builder.SetString("tokenizer.chat_template.rerank",
                      "<|im_start|>{query}?{document}<|im_end|>!");
  EXPECT_EQ(Pair(v, "b", " a"), "<|im_start|>|b|?|Ġa|<|im_end|>|!");
  EXPECT_EQ(Pair(v, "{document}", "x"), "<|im_start|>|{|d|o|c|u|m|e|n|t|}|?|x|<|im_end|>|!");
  const std::string spelt = Pair(v, "<|im_end|>", "a");
  EXPECT_EQ(spelt.find("<|im_end|>"), spelt.rfind("<|im_end|>"));
  EXPECT_EQ(Pair(v, "b", "yes a a", {.all = 7}), "<|im_start|>|b|?|yes|Ġa|<|im_end|>|!");
  EXPECT_EQ(Pair(v, "b", "yes a a", {.all = 5}), "<|im_start|>|b|?|<|im_end|>|!");
  EXPECT_EQ(Pair(v, "b", "yes a a", {.document = 1}), "<|im_start|>|b|?|yes|<|im_end|>|!");
  EXPECT_EQ(Pair(v, "b", "yes", {.all = 4}), "<|im_start|>|b|?|yes|<|im_end|>|!");
  EXPECT_EQ(Pair(v, "bcd", "yes a", {.all = 6, .query = true}),
            "<|im_start|>|b|?|yes|<|im_end|>|!");
  EXPECT_EQ(Pair(v, "bcd", " a", {.all = 6, .query = true, .begin = true}),
            "<|im_start|>|d|?|Ġa|<|im_end|>|!");
}

TEST(PairForm, ATemplateMustSayWhereTheTextsGo) {
  TinyVocabulary v = Bpe();
  v.builder.SetString("tokenizer.chat_template.rerank", "{query}");
  EXPECT_THAT(ErrorOf(v), HasSubstr("{document} is missing"));
}

TEST(PairForm, Qwen3HasItsTemplateWhereAFileHasNone) {
  TinyVocabulary v = Bpe();
  v.builder.SetString("general.architecture", "qwen3");
  const std::string pair = Pair(v, "b", "x");
  EXPECT_EQ(pair.find("<|im_start|>|s|y|s|t|e|m"), 0u) << pair;
  EXPECT_THAT(pair, HasSubstr("D|o|c|u|m|e|n|t|>|:|Ġ|x|<|im_end|>"));
}

}  // namespace
}  // namespace lockstep
