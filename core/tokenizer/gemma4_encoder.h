// Gemma 4's BPE: as SentencePiece's, characters are merged, a space is written "▁" and a character
// outside the vocabulary becomes its bytes' tokens; but the order is a list of merges, and runs of
// newlines are words of their own.
#pragma once

#include <memory>

#include "core/tokenizer/merge_table.h"
#include "core/tokenizer/sentencepiece.h"
#include "core/tokenizer/text_encoder.h"

namespace lockstep {

class Gemma4Encoder final : public TextEncoder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TextEncoder>> Create(const GgufFile& file,
                                                                   const Vocabulary& vocabulary);
  void Encode(std::string_view text, std::vector<int32_t>* ids) const override;
  std::string Bytes(std::string_view text) const override;

 private:
  explicit Gemma4Encoder(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}
  void EncodeRun(std::string_view run, PairMerger* merger, std::vector<int32_t>* ids) const;

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  ByteTokens bytes_;
};

}  // namespace lockstep
