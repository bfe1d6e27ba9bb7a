// SentencePiece's BPE: characters are merged in the order of the merged token's score; a space is
// written "▁"; a character outside the vocabulary becomes its bytes' tokens, or the unknown token.
#pragma once

#include <array>
#include <memory>

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
  Status LoadBytes(const GgufFile& file);
  void EncodeUnknown(std::string_view bytes, std::vector<int32_t>* ids) const;

  const Vocabulary& vocabulary_;
  std::vector<float> scores_;          // [vocab]
  std::array<int32_t, 256> byte_ids_;  // all -1 if the vocabulary has no byte tokens
  bool adds_space_ = false;
  int32_t replacement_ = -1;  // for bytes that are no text, where there are no byte tokens
};

}  // namespace lockstep
