// What SentencePiece's algorithms share: the notation of spaces, the tokens' scores, and what
// becomes of characters outside the vocabulary.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/tokenizer/pair_merger.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

inline constexpr std::string_view kEscapedSpace = "▁";  // U+2581

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to);

// tokenizer.ggml.scores: one for each token, finite.
[[nodiscard]] Result<std::vector<float>> LoadScores(const GgufFile& file,
                                                    const Vocabulary& vocabulary);

// A character outside the vocabulary becomes its bytes' tokens, or the unknown token where the
// vocabulary has none for bytes. The vocabulary must outlive it.
class ByteTokens {
 public:
  [[nodiscard]] Status Load(const GgufFile& file, const Vocabulary& vocabulary);
  // `bytes` is one character, or one byte that is no text.
  void Encode(std::string_view bytes, std::vector<int32_t>* ids) const;

 private:
  std::array<int32_t, 256> ids_{};  // all -1 if the vocabulary has no byte tokens
  int32_t unknown_ = -1;            // for characters, where there are no byte tokens
  int32_t replacement_ = -1;        // and for bytes that are no text
};

// The symbols of a BPE over characters: one for each character of the text, with its token if it
// has one. Invalid bytes stand alone: as the tokens are UTF-8, none can be merged.
void AddCharacters(std::string_view text, const Vocabulary& vocabulary, PairMerger* merger);
// The tokens of the text's symbols. Those without one were never merged, and go by `bytes`.
void PutIds(const PairMerger& merger, std::string_view text, const ByteTokens& bytes,
            std::vector<int32_t>* ids);

}  // namespace lockstep
