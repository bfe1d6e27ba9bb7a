// What both of SentencePiece's algorithms share: the notation of spaces, and the tokens' scores.
#pragma once

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

}  // namespace lockstep
