// WordPiece (Schuster and Nakajima 2012) as BERT has it: the text is normalized and cut into words,
// and each word is taken apart from its beginning, the longest token first. A word of which any
// part is no token becomes the unknown token as a whole.
#pragma once

#include <memory>

#include "core/tokenizer/byte_trie.h"
#include "core/tokenizer/text_encoder.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

class WordPieceEncoder final : public TextEncoder {
 public:
  // REQUIRES: the vocabulary has an unknown token.
  [[nodiscard]] static Result<std::unique_ptr<TextEncoder>> Create(const GgufFile& file,
                                                                   const Vocabulary& vocabulary);
  void Encode(std::string_view text, std::vector<int32_t>* ids) const override;
  bool adds_space() const override { return true; }
  std::string Bytes(std::string_view text) const override;

 private:
  WordPieceEncoder() = default;
  std::string Normalize(std::string_view text) const;
  void EncodeWord(std::string_view word, std::vector<int32_t>* ids) const;

  ByteTrie tokens_;  // that text may become
  int32_t unknown_ = -1;
  bool lower_case_ = true;      // the model knows no upper case
  bool strips_accents_ = true;  // nor marks above and below letters
};

}  // namespace lockstep
