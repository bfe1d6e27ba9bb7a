// Byte-level BPE, as GPT-2 has it: a pre-tokenizer cuts the text into words; within a word, bytes
// are merged in the order of the file's list of merges. In the vocabulary each byte is written as a
// printable character: "Ġthe" is " the".
#pragma once

#include <array>
#include <memory>

#include "core/tokenizer/merge_table.h"
#include "core/tokenizer/pretokenizer.h"
#include "core/tokenizer/text_encoder.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

class BpeEncoder final : public TextEncoder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TextEncoder>> Create(const GgufFile& file,
                                                                   const Vocabulary& vocabulary,
                                                                   Pretokenizer pretokenizer);
  void Encode(std::string_view text, std::vector<int32_t>* ids) const override;
  std::string Bytes(std::string_view text) const override;
  std::string warning() const override { return warning_; }

 private:
  BpeEncoder(const Vocabulary& vocabulary, Pretokenizer pretokenizer);
  Status LoadBytes(const GgufFile& file);
  std::string Expressible(std::string_view text) const;
  void EncodeWord(std::string_view word, PairMerger* merger, std::vector<int32_t>* ids) const;

  const Vocabulary& vocabulary_;
  const Pretokenizer pretokenizer_;
  std::array<int32_t, 256> byte_ids_;  // -1: no token
  std::string warning_;                // about those that UTF-8 text may hold
  MergeTable merges_;
};

}  // namespace lockstep
