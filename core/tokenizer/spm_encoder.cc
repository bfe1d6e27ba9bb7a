// SentencePiece's BPE has no list of merges: two neighbours may be joined if their joined text is a
// token, and the best score goes first. So the merger looks up substrings of the text, which the
// vocabulary's longest token bounds.
#include "core/tokenizer/spm_encoder.h"

#include <fmt/format.h>

#include "core/base/utf8.h"
#include "core/tokenizer/pair_merger.h"
#include "core/tokenizer/sentencepiece.h"

namespace lockstep {

Result<std::unique_ptr<TextEncoder>> SpmEncoder::Create(const GgufFile& file,
                                                        const Vocabulary& vocabulary) {
  std::unique_ptr<SpmEncoder> encoder(new SpmEncoder(vocabulary));
  TRY(encoder->scores_, LoadScores(file, vocabulary));
  TRY(const auto space, file.GetBool("tokenizer.ggml.add_space_prefix"));
  encoder->adds_space_ = space.value_or(true);
  TRY_OK(encoder->LoadBytes(file));
  return encoder;
}

Status SpmEncoder::LoadBytes(const GgufFile& file) {
  byte_ids_.fill(-1);
  size_t found = 0;
  for (size_t id = 0; id < vocabulary_.size(); ++id) {
    if (vocabulary_.kinds[id] != TokenKind::kByte) continue;
    byte_ids_[static_cast<size_t>(ByteOfText(vocabulary_.texts[id]))] = static_cast<int32_t>(id);
    ++found;
  }
  if (found == byte_ids_.size()) return {};
  if (found > 0) {
    return file.Fail(
        fmt::format("tokenizer.ggml.tokens has {} byte tokens (\"<0x00>\" to "
                    "\"<0xFF>\"): all 256 are needed, or none",
                    found));
  }
  if (vocabulary_.unknown < 0) {
    return file.Fail(
        "tokenizer.ggml.tokens has no byte tokens and tokenizer.ggml.unknown_token_id is missing: "
        "one of them is needed for text outside the vocabulary");
  }
  replacement_ = vocabulary_.FindNormal(kReplacementCharacter);
  if (replacement_ < 0) replacement_ = vocabulary_.unknown;
  return {};
}

void SpmEncoder::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  std::string escaped(adds_space_ ? kEscapedSpace : "");
  escaped += ReplaceAll(text, " ", kEscapedSpace);
  const std::string_view all = escaped;
  PairMerger merger;
  for (size_t begin = 0; begin < all.size();) {
    const Utf8Scan scan = ScanUtf8(all.substr(begin));
    // Invalid bytes stand alone: as the tokens are UTF-8, none can be merged.
    const size_t size = scan.kind == Utf8Scan::Kind::kCharacter ? scan.length : 1;
    merger.Add(static_cast<uint32_t>(size), vocabulary_.FindNormal(all.substr(begin, size)));
    begin += size;
  }
  const auto find = [&](const Symbol& left, const Symbol& right) -> Merge {
    // The cost is the negative score, so that the merger, which takes the least cost, takes the
    // best score.
    const int32_t id = vocabulary_.FindNormal(all.substr(left.begin, left.size + right.size));
    return {id < 0 ? 0.0f : -scores_[static_cast<size_t>(id)], id};
  };
  merger.Run(find);
  merger.ForEach([&](const Symbol& symbol) {
    if (symbol.id >= 0) {
      ids->push_back(symbol.id);
    } else {
      EncodeUnknown(all.substr(symbol.begin, symbol.size), ids);
    }
  });
}

void SpmEncoder::EncodeUnknown(std::string_view bytes, std::vector<int32_t>* ids) const {
  if (byte_ids_[0] >= 0) {
    for (const char byte : bytes) ids->push_back(byte_ids_[static_cast<uint8_t>(byte)]);
    return;
  }
  // A symbol without a token was never merged, so it is one character, or one byte that is no text.
  const bool is_text = ScanUtf8(bytes).kind == Utf8Scan::Kind::kCharacter;
  ids->push_back(is_text ? vocabulary_.unknown : replacement_);
}

std::string SpmEncoder::Bytes(std::string_view text) const {
  return ReplaceAll(text, kEscapedSpace, " ");
}

}  // namespace lockstep
