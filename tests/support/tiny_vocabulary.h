// Vocabularies built in memory, as GGUF metadata to change and to Create a Tokenizer from.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tokenizer/tokenizer.h"
#include "tests/support/gguf_builder.h"

namespace lockstep {

struct TinyVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<float> scores;        // SentencePiece
  std::vector<std::string> merges;  // byte-level

  int32_t Add(const std::string& text, int32_t type, float score = 0);  // returns the id
  GgufBuilder builder;  // model and roles; the arrays above are written by Metadata
  GgufBuilder Metadata() const;
};

// <unk>, <s>, </s>, the 256 byte tokens from id 3, then `pieces` from id 259 with falling scores.
TinyVocabulary SpmVocabulary(const std::vector<std::string>& pieces);
// The 256 bytes' characters, the results of `merges` from id 256, then <|endoftext|>, which is both
// BOS and EOS.
TinyVocabulary BpeVocabulary(const std::vector<std::string>& merges);

// The file's bytes are gone when this returns: what a Tokenizer needs, it must have copied.
Result<Tokenizer> CreateTokenizer(const GgufBuilder& builder);
// The texts of the tokens that `text` becomes, with bars between them.
std::string Pieces(const TinyVocabulary& vocabulary, std::string_view text);
// Why there can be no tokenizer of it; empty if there can.
std::string ErrorOf(const TinyVocabulary& vocabulary);

}  // namespace lockstep
