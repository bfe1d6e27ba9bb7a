// SentencePiece escapes spaces as U+2581, so that a token can hold one and stay printable. What
// both of its algorithms need of that stands here once.
#include "core/tokenizer/sentencepiece.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace lockstep {

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (size_t begin = 0;;) {
    const size_t end = text.find(from, begin);
    out += text.substr(begin, end - begin);
    if (end == std::string_view::npos) return out;
    out += to;
    begin = end + from.size();
  }
}

Result<std::vector<float>> LoadScores(const GgufFile& file, const Vocabulary& vocabulary) {
  TRY(auto in_file, file.GetFloats("tokenizer.ggml.scores"));
  std::vector<float> scores;
  if (in_file.has_value()) scores.swap(*in_file);
  if (scores.size() != vocabulary.size()) {
    return file.Fail(
        fmt::format("tokenizer.ggml.scores has {} values, but tokenizer.ggml.tokens "
                    "has {}: they must be as many",
                    scores.size(), vocabulary.size()));
  }
  for (size_t id = 0; id < scores.size(); ++id) {
    if (!std::isfinite(scores[id])) {
      return file.Fail(
          fmt::format("tokenizer.ggml.scores[{}] is {}: it must be finite", id, scores[id]));
    }
  }
  return scores;
}

}  // namespace lockstep
