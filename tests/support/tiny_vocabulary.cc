#include "tests/support/tiny_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/utf8.h"

namespace lockstep {

int32_t TinyVocabulary::Add(const std::string& text, int32_t type, float score) {
  tokens.push_back(text);
  types.push_back(type);
  scores.push_back(score);
  return static_cast<int32_t>(tokens.size() - 1);
}

GgufBuilder TinyVocabulary::Metadata() const {
  GgufBuilder out = builder;
  out.SetStrings("tokenizer.ggml.tokens", tokens);
  out.SetNumbers("tokenizer.ggml.token_type", 5, types);
  if (merges.empty()) {
    out.SetNumbers("tokenizer.ggml.scores", 6, scores);
  } else {
    out.SetStrings("tokenizer.ggml.merges", merges);
  }
  return out;
}

TinyVocabulary SpmVocabulary(const std::vector<std::string>& pieces) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "llama");
  v.builder.SetU32("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(v.Add("<unk>", 2)));
  v.builder.SetU32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(v.Add("<s>", 3)));
  v.builder.SetU32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(v.Add("</s>", 3)));
  for (int byte = 0; byte < 256; ++byte) v.Add(fmt::format("<0x{:02X}>", byte), 6);
  for (size_t i = 0; i < pieces.size(); ++i) v.Add(pieces[i], 1, -static_cast<float>(i));
  return v;
}

TinyVocabulary BpeVocabulary(const std::vector<std::string>& merges) {
  TinyVocabulary v;
  v.builder.SetString("tokenizer.ggml.model", "gpt2");
  v.builder.SetString("tokenizer.ggml.pre", "gpt-2");
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    std::string character;
    AppendUtf8(printable ? byte : next++, &character);
    v.Add(character, 1);
  }
  v.merges = merges;
  for (std::string merged : merges) {
    std::erase(merged, ' ');
    v.Add(merged, 1);
  }
  const uint32_t end = static_cast<uint32_t>(v.Add("<|endoftext|>", 3));
  v.builder.SetU32("tokenizer.ggml.bos_token_id", end);
  v.builder.SetU32("tokenizer.ggml.eos_token_id", end);
  return v;
}

Result<Tokenizer> CreateTokenizer(const GgufBuilder& builder) {
  const std::vector<uint8_t> bytes = builder.Build();
  const auto file = GgufFile::Parse(bytes, "tiny.gguf");
  if (!file) return tl::unexpected(file.error());
  return Tokenizer::Create(*file);
}

std::string Pieces(const TinyVocabulary& vocabulary, std::string_view text) {
  const auto tokenizer = CreateTokenizer(vocabulary.Metadata());
  if (!tokenizer) return tokenizer.error().message;
  std::string out;
  for (const int32_t id : tokenizer->Encode(text, false)) {
    if (!out.empty()) out += '|';
    out += tokenizer->TokenText(id);
  }
  return out;
}

std::string ErrorOf(const TinyVocabulary& vocabulary) {
  const auto tokenizer = CreateTokenizer(vocabulary.Metadata());
  return tokenizer ? "" : tokenizer.error().message;
}

}  // namespace lockstep
