// SentencePiece escapes spaces as U+2581, so that a token can hold one and stay printable. What
// both of its algorithms need of that stands here once.
#include "core/tokenizer/sentencepiece.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "core/base/utf8.h"

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

Status ByteTokens::Load(const GgufFile& file, const Vocabulary& vocabulary) {
  ids_.fill(-1);
  size_t found = 0;
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.kinds[id] != TokenKind::kByte) continue;
    ids_[static_cast<size_t>(ByteOfText(vocabulary.texts[id]))] = static_cast<int32_t>(id);
    ++found;
  }
  if (found == ids_.size()) return {};
  if (found > 0) {
    return file.Fail(
        fmt::format("tokenizer.ggml.tokens has {} byte tokens (\"<0x00>\" to "
                    "\"<0xFF>\"): all 256 are needed, or none",
                    found));
  }
  if (vocabulary.unknown < 0) {
    return file.Fail(
        "tokenizer.ggml.tokens has no byte tokens and tokenizer.ggml.unknown_token_id is missing: "
        "one of them is needed for text outside the vocabulary");
  }
  unknown_ = vocabulary.unknown;
  replacement_ = vocabulary.FindNormal(kReplacementCharacter);
  if (replacement_ < 0) replacement_ = unknown_;
  return {};
}

void ByteTokens::Encode(std::string_view bytes, std::vector<int32_t>* ids) const {
  if (ids_[0] >= 0) {
    for (const char byte : bytes) ids->push_back(ids_[static_cast<uint8_t>(byte)]);
    return;
  }
  const bool is_text = ScanUtf8(bytes).kind == Utf8Scan::Kind::kCharacter;
  ids->push_back(is_text ? unknown_ : replacement_);
}

void AddCharacters(std::string_view text, const Vocabulary& vocabulary, PairMerger* merger) {
  for (size_t begin = 0; begin < text.size();) {
    const Utf8Scan scan = ScanUtf8(text.substr(begin));
    const size_t size = scan.kind == Utf8Scan::Kind::kCharacter ? scan.length : 1;
    merger->Add(static_cast<uint32_t>(size), vocabulary.FindNormal(text.substr(begin, size)));
    begin += size;
  }
}

void PutIds(const PairMerger& merger, std::string_view text, const ByteTokens& bytes,
            std::vector<int32_t>* ids) {
  merger.ForEach([&](const Symbol& symbol) {
    if (symbol.id >= 0) {
      ids->push_back(symbol.id);
    } else {
      bytes.Encode(text.substr(symbol.begin, symbol.size), ids);
    }
  });
}

}  // namespace lockstep
