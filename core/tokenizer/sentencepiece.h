// What SentencePiece's algorithms share: the notation of spaces, the tokens' scores, and what
// becomes of characters outside the vocabulary.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

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

}  // namespace lockstep
