// No key of a file says any of this, only which model or tokenizer it is.
#include "core/tokenizer/stripping.h"

#include <algorithm>
#include <string>

#include "core/base/utf8.h"
#include "core/gguf/metadata_keys.h"
#include "core/tokenizer/char_category.h"

namespace lockstep {
namespace {

// C's isspace.
bool IsAsciiSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Unicode's white space. The next line (U+0085) is a control character, and the others beyond ASCII
// are of categories of their own.
bool IsSpace(std::string_view character) {
  if (character.size() == 1) return IsAsciiSpace(character[0]);
  const uint32_t code = FirstCodePoint(character);
  return code == 0x85 || CharCategory(code).starts_with('Z');
}

// Phi-3's tokenizer drops white space after its special tokens.
std::vector<bool> AfterTokens(const GgufFile& file, const Vocabulary& vocabulary) {
  std::vector<bool> after(vocabulary.size(), false);
  std::string lower(ToldText(file, "general.name"));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (lower.find("phi-3") == lower.npos && lower.find("phi3") == lower.npos) return after;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const std::string_view text = vocabulary.texts[i];
    const TokenKind token = vocabulary.kinds[i];
    after[i] = (token == TokenKind::kControl || token == TokenKind::kUserDefined) &&
               text != "<s>" && text != "<unk>" && text != "<|endoftext|>";
  }
  return after;
}

// The mask before which the tokenizers of RoBERTa, XLM-RoBERTa and ModernBERT drop white space;
// empty where the tokenizer is none of these.
std::string_view MaskOf(std::string_view model, std::string_view pre) {
  if (pre == "modern-bert") return "[MASK]";
  constexpr std::string_view kRoberta[] = {"roberta-bpe", "jina-es",    "jina-de",     "jina-v1-en",
                                           "jina-v2-es",  "jina-v2-de", "jina-v2-code"};
  const bool roberta = std::ranges::find(kRoberta, pre) != std::end(kRoberta);
  return roberta || model == "t5" ? "<mask>" : "";
}

}  // namespace

Result<Stripping> Stripping::Load(const GgufFile& file, const Vocabulary& vocabulary) {
  Stripping stripping;
  stripping.after = AfterTokens(file, vocabulary);
  TRY(const auto model, file.GetString("tokenizer.ggml.model"));
  TRY(const auto pre, file.GetString("tokenizer.ggml.pre"));
  const std::string_view mask = MaskOf(model.value_or(""), pre.value_or(""));
  if (!mask.empty()) stripping.mask = vocabulary.Find(mask);
  return stripping;
}

std::string_view Stripping::Before(int32_t id, std::string_view text) const {
  if (id != mask) return text;
  while (!text.empty()) {
    const size_t length = LastCharacterLength(text);
    if (!IsSpace(text.substr(text.size() - length))) break;
    text.remove_suffix(length);
  }
  return text;
}

std::string_view Stripping::After(int32_t id, std::string_view text) const {
  if (!after[static_cast<size_t>(id)]) return text;
  while (!text.empty() && IsAsciiSpace(text[0])) text.remove_prefix(1);
  return text;
}

}  // namespace lockstep
