// Byte-level BPE (Sennrich et al. 2016, over bytes as in GPT-2). With the merges "h e", "l l", "he
// ll", the word "hello" is h e l l o, he l l o, he ll o, hell o.
#include "core/tokenizer/bpe_encoder.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/tokenizer/normal_form.h"

namespace lockstep {
namespace {

// GPT-2's alphabet: bytes that are printable in Latin-1 stand for themselves, the others for U+0100
// and what follows, in order. So the space, the 33rd of the others, is U+0120 ("Ġ"), and a newline
// U+010A ("Ċ").
struct Alphabet {
  Alphabet() {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
      const uint32_t code_point = printable ? byte : next++;
      AppendUtf8(code_point, &characters[byte]);
      bytes.emplace(characters[byte], static_cast<char>(byte));
    }
  }
  uint32_t next = 0x100;
  std::array<std::string, 256> characters;
  std::unordered_map<std::string_view, char> bytes;
};

const Alphabet& TheAlphabet() {
  static const Alphabet kAlphabet;
  return kAlphabet;
}

// The 256 bytes without the 13 that UTF-8 never has (RFC 3629): C0 and C1 would begin an overlong
// form of ASCII, F5 to FF a code point beyond U+10FFFF.
constexpr size_t kBytesOfUtf8 = 243;
// C0, C1 and F5 to FF.
bool IsNeverInUtf8(uint32_t byte) { return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5; }

}  // namespace

BpeEncoder::BpeEncoder(const Vocabulary& vocabulary, Pretokenizer pretokenizer)
    : vocabulary_(vocabulary), pretokenizer_(std::move(pretokenizer)) {}

Result<std::unique_ptr<TextEncoder>> BpeEncoder::Create(const GgufFile& file,
                                                        const Vocabulary& vocabulary,
                                                        Pretokenizer pretokenizer) {
  std::unique_ptr<BpeEncoder> encoder(new BpeEncoder(vocabulary, std::move(pretokenizer)));
  TRY_OK(encoder->LoadBytes(file));
  TRY_OK(encoder->merges_.Load(file, vocabulary));
  return encoder;
}

Status BpeEncoder::LoadBytes(const GgufFile& file) {
  std::vector<uint32_t> missing;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = vocabulary_.FindNormal(TheAlphabet().characters[byte]);
    if (byte_ids_[byte] < 0 && !IsNeverInUtf8(byte)) missing.push_back(byte);
  }
  // Vocabularies that were trained on clean text lack control characters: SmolLM2's has 8 of them
  // missing. One without any byte is written in another alphabet.
  if (missing.size() == kBytesOfUtf8) {
    return file.Fail(
        fmt::format("tokenizer.ggml.tokens has no token for any byte, such as {} for "
                    "0x61: a tokenizer of model \"gpt2\" is made of them",
                    Quoted("a")));
  }
  if (!missing.empty()) {
    warning_ = fmt::format(
        "{}: tokenizer.ggml.tokens has no token for {} of the {} bytes that UTF-8 text may hold "
        "(0x{:02X}{}): texts lose them",
        file.name(), missing.size(), kBytesOfUtf8, missing[0], missing.size() > 1 ? ", ..." : "");
  }
  return {};
}

// Bytes without a token that only invalid UTF-8 can hold become U+FFFD.
std::string BpeEncoder::Expressible(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (const char byte : text) {
    const auto value = static_cast<uint8_t>(byte);
    if (byte_ids_[value] < 0 && IsNeverInUtf8(value)) {
      out += kReplacementCharacter;
    } else {
      out += byte;
    }
  }
  return out;
}

void BpeEncoder::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  const std::string expressible =
      Expressible(pretokenizer_.composes() ? ComposeUtf8(text) : std::string(text));
  PairMerger merger;
  for (const std::string_view word : pretokenizer_.Split(expressible)) {
    EncodeWord(word, &merger, ids);
  }
}

void BpeEncoder::EncodeWord(std::string_view word, PairMerger* merger,
                            std::vector<int32_t>* ids) const {
  if (pretokenizer_.whole_words_first() && word.size() <= vocabulary_.longest) {
    std::string text;
    for (const char byte : word) text += TheAlphabet().characters[static_cast<uint8_t>(byte)];
    if (const int32_t id = vocabulary_.FindNormal(text); id >= 0) {
      ids->push_back(id);
      return;
    }
  }
  // What has no token is left out before the merges, so that its neighbours meet, as in Hugging
  // Face's tokenizers.
  merger->Clear();
  for (const char byte : word) {
    if (const int32_t id = byte_ids_[static_cast<uint8_t>(byte)]; id >= 0) merger->Add(1, id);
  }
  merger->Run([&](const Symbol& left, const Symbol& right) { return merges_.Find(left, right); });
  merger->ForEach([&](const Symbol& symbol) { ids->push_back(symbol.id); });
}

std::string BpeEncoder::Bytes(std::string_view text) const {
  const auto& bytes = TheAlphabet().bytes;
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view character = rest.substr(0, ScanUtf8(rest).length);
    const auto found = bytes.find(character);
    if (found == bytes.end()) return std::string(text);  // not written in the alphabet: literal
    out += found->second;
    rest.remove_prefix(character.size());
  }
  return out;
}

}  // namespace lockstep
