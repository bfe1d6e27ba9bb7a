// The unigram model (Kudo 2018) by the Viterbi algorithm: cuts[i] is the best way to cut the first
// i bytes, and every token that begins at i may improve a later one. Scores are log probabilities,
// so that they add up. A character that is no token costs more than the worst one.
#include "core/tokenizer/unigram_encoder.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/utf8.h"
#include "core/tokenizer/sentencepiece.h"

namespace lockstep {
namespace {

constexpr float kUnknownPenalty = 10;  // SentencePiece's; below the worst of the tokens

// The best way to cut the text before a byte.
struct Cut {
  double score = -std::numeric_limits<double>::max();
  size_t begin = 0;  // of its last token
  int32_t id = -1;   // of it
  void Improve(double other_score, size_t other_begin, int32_t other_id) {
    if (other_score > score) *this = {other_score, other_begin, other_id};
  }
};

}  // namespace

Result<std::unique_ptr<TextEncoder>> UnigramEncoder::Create(const GgufFile& file,
                                                            const Vocabulary& vocabulary) {
  std::unique_ptr<UnigramEncoder> encoder(new UnigramEncoder(vocabulary));
  TRY(encoder->charsmap_, Charsmap::Create(file));
  TRY(encoder->scores_, LoadScores(file, vocabulary));
  TRY_OK(encoder->LoadFlags(file));
  encoder->LoadTokens();
  return encoder;
}

Status UnigramEncoder::LoadFlags(const GgufFile& file) {
  TRY(const auto space, file.GetBool("tokenizer.ggml.add_space_prefix"));
  adds_space_ = space.value_or(false);
  TRY(const auto merges, file.GetBool("tokenizer.ggml.remove_extra_whitespaces"));
  merges_spaces_ = merges.value_or(false);
  unknown_ = vocabulary_.unknown;
  if (unknown_ >= 0) return {};
  const auto& kinds = vocabulary_.kinds;
  const auto found = std::find(kinds.begin(), kinds.end(), TokenKind::kUnknown);
  if (found == kinds.end()) {
    return file.Fail(
        "tokenizer.ggml.unknown_token_id is missing: a tokenizer of model \"t5\" needs it for text "
        "outside the vocabulary");
  }
  unknown_ = static_cast<int32_t>(found - kinds.begin());
  return {};
}

void UnigramEncoder::LoadTokens() {
  float worst = std::numeric_limits<float>::max();
  for (size_t i = 0; i < vocabulary_.size(); ++i) {
    const TokenKind kind = vocabulary_.kinds[i];
    const int32_t id = static_cast<int32_t>(i);
    if (kind == TokenKind::kNormal) worst = std::min(worst, scores_[i]);
    if (kind == TokenKind::kUserDefined) scores_[i] = 0;  // log probabilities are less: a sure one
    if (!vocabulary_.IsNormal(id) && kind != TokenKind::kUserDefined) continue;
    if (!vocabulary_.texts[i].empty()) tokens_.Add(vocabulary_.texts[i], id);
  }
  unknown_score_ = worst - kUnknownPenalty;
}

std::string UnigramEncoder::Normalize(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  bool in_word = false;
  bool first = true;
  while (!text.empty()) {
    const Charsmap::Part part = charsmap_.Next(text);
    for (const char byte : part.normal) {
      // A space is only noted here, and written before the next word where runs of them are merged;
      // so trailing ones vanish. Otherwise each is written at once.
      if (byte == ' ') {
        in_word = false;
        if (!merges_spaces_) out += kEscapedSpace;
        continue;
      }
      if (!in_word && (merges_spaces_ || (adds_space_ && first))) out += kEscapedSpace;
      if (!in_word) first = false;
      in_word = true;
      out += byte;
    }
    text.remove_prefix(part.size);
  }
  return out;
}

void UnigramEncoder::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  const std::string normal = Normalize(text);
  std::vector<Cut> cuts(normal.size() + 1);
  cuts[0].score = 0;
  for (size_t begin = 0; begin < normal.size();) {
    const double score = cuts[begin].score;
    const size_t next = begin + ScanUtf8(std::string_view(normal).substr(begin)).length;
    bool has_token = false;  // of this one character
    uint32_t node = ByteTrie::kRoot;
    for (size_t end = begin; end < normal.size();) {
      node = tokens_.Step(node, normal[end++]);
      if (node == ByteTrie::kNone) break;
      const int32_t id = tokens_.IdAt(node);
      if (id < 0) continue;
      has_token |= end == next;
      cuts[end].Improve(score + static_cast<double>(scores_[static_cast<size_t>(id)]), begin, id);
    }
    // The unknown token may compete only where the character itself is no token, as in
    // SentencePiece; longer tokens from here may still win.
    if (!has_token) {
      cuts[next].Improve(score + static_cast<double>(unknown_score_), begin, unknown_);
    }
    begin = next;
  }
  const size_t count = ids->size();
  for (size_t end = normal.size(); end > 0; end = cuts[end].begin) {
    const int32_t id = cuts[end].id;
    // The walk goes backwards, from the end of the text over each token's beginning. A run of
    // unknown characters becomes one unknown token.
    const bool repeats = id == unknown_ && ids->size() > count && ids->back() == unknown_;
    if (!repeats) ids->push_back(id);
  }
  std::reverse(ids->begin() + static_cast<std::ptrdiff_t>(count), ids->end());
}

std::string UnigramEncoder::Bytes(std::string_view text) const {
  return ReplaceAll(text, kEscapedSpace, " ");
}

}  // namespace lockstep
