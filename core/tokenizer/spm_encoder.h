// SentencePiece's BPE: characters are merged in the order of the merged token's score; a space is
// written "▁"; a character outside the vocabulary becomes its bytes' tokens, or the unknown token.
#pragma once

#include <memory>

#include "core/tokenizer/sentencepiece.h"
#include "core/tokenizer/text_encoder.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

class SpmEncoder final : public TextEncoder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TextEncoder>> Create(const GgufFile& file,
                                                                   const Vocabulary& vocabulary);
  void Encode(std::string_view text, std::vector<int32_t>* ids) const override;
  bool adds_space() const override { return adds_space_; }
  std::string Bytes(std::string_view text) const override;

 private:
  explicit SpmEncoder(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  const Vocabulary& vocabulary_;
  std::vector<float> scores_;  // [vocab]
  ByteTokens bytes_;
  bool adds_space_ = false;
};

}  // namespace lockstep
