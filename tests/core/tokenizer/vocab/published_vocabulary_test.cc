// Vocabularies of published models against the ids that llama.cpp gives for its test texts.
#include <gtest/gtest.h>

#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

class PublishedVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(PublishedVocabulary, EveryLine) {
  const std::string gguf =
      std::string(LOCKSTEP_VOCABULARIES) + "/ggml-vocab-" + GetParam() + ".gguf";
  const Tokenizer tokenizer = LoadTokenizer(gguf);
  const auto texts = ReadTokenizedTexts(gguf + ".inp", gguf + ".out");
  EXPECT_EQ(texts.size(), 46u);
  for (const TokenizedText& expected : texts) {
    EXPECT_EQ(tokenizer.Encode(expected.text, false), expected.ids) << expected.text;
    EXPECT_EQ(tokenizer.Decode(expected.ids), expected.text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PublishedVocabulary,
                         testing::Values("llama-spm", "phi-3", "gpt-2", "deepseek-coder"));

}  // namespace
}  // namespace lockstep
