// SentencePiece's unigram model, as T5 has it: of all ways to cut the text into tokens, the one
// with the greatest sum of scores (Viterbi). A character outside the vocabulary becomes the unknown
// token, and so does each run of them.
#pragma once

#include <memory>

#include "core/tokenizer/byte_trie.h"
#include "core/tokenizer/charsmap.h"
#include "core/tokenizer/text_encoder.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

class UnigramEncoder final : public TextEncoder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TextEncoder>> Create(const GgufFile& file,
                                                                   const Vocabulary& vocabulary);
  void Encode(std::string_view text, std::vector<int32_t>* ids) const override;
  bool adds_space() const override { return adds_space_ || merges_spaces_; }
  std::string Bytes(std::string_view text) const override;

 private:
  explicit UnigramEncoder(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}
  Status LoadFlags(const GgufFile& file);
  void LoadTokens();
  std::string Normalize(std::string_view text) const;

  const Vocabulary& vocabulary_;
  Charsmap charsmap_;
  ByteTrie tokens_;            // that text may become
  std::vector<float> scores_;  // [vocab]
  float unknown_score_ = 0;
  int32_t unknown_ = -1;
  bool adds_space_ = false;     // in front of the first word
  bool merges_spaces_ = false;  // one in front of each word, whatever stood there
};

}  // namespace lockstep
