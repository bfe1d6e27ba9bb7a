// The rules are those of BERT's own tokenizer, so that a text has the ids that the model was
// trained with: in Hangul and the scripts of India they differ from what a rule of thumb, such as
// "drop all marks", would give. GGUF writes a token that begins a word with "▁" in front, and one
// that goes on with it without the "##" of BERT's vocabularies.
#include "core/tokenizer/wordpiece_encoder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/utf8.h"
#include "core/tokenizer/char_category.h"
#include "core/tokenizer/normal_form.h"
#include "core/tokenizer/sentencepiece.h"
#include "core/tokenizer/wordpiece_characters.h"

namespace lockstep {
namespace {

constexpr size_t kMaxWord = 100;  // characters; a longer one is unknown, as BERT has it
constexpr uint32_t kUpperDottedI = 0x130, kDotAbove = 0x307;

// Characters that are words of their own: ideographs, but not Kana or Hangul. The gap after
// U+2B81F is BERT's.
bool IsIdeograph(uint32_t code) {
  constexpr std::pair<uint32_t, uint32_t> kRanges[] = {
      {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
      {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(kRanges), std::end(kRanges), [&](const auto& range) {
    return code >= range.first && code <= range.second;
  });
}

// White space that is a control character by its category.
bool IsControlSpace(uint32_t code) { return code == '\t' || code == '\n' || code == '\r'; }

bool IsSpace(uint32_t code) { return IsControlSpace(code) || WordPieceCategory(code)[0] == 'Z'; }

// Controls, formats, private use and U+FFFD are no text; what Unicode does not know yet may be.
bool IsDropped(uint32_t code) {
  if (code == 0xFFFD) return true;
  const std::string_view category = WordPieceCategory(code);
  return category[0] == 'C' && category != "Cn" && !IsControlSpace(code);
}

// All of ASCII but letters, digits, space and controls counts, whatever its category.
bool IsPunctuation(uint32_t code) {
  if (code >= 0x80) return WordPieceCategory(code)[0] == 'P';
  const bool letter = (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
  return code > ' ' && code < 0x7F && !letter && !(code >= '0' && code <= '9');
}

// fn(code point) for each well-formed character.
template <class Fn>
void ForEachCharacter(std::string_view text, const Fn& fn) {
  while (!text.empty()) {
    const Utf8Scan scan = ScanUtf8(text);
    if (scan.kind == Utf8Scan::Kind::kCharacter) fn(FirstCodePoint(text));
    text.remove_prefix(scan.length);
  }
}

}  // namespace

Result<std::unique_ptr<TextEncoder>> WordPieceEncoder::Create(const GgufFile& file,
                                                              const Vocabulary& vocabulary) {
  std::unique_ptr<WordPieceEncoder> encoder(new WordPieceEncoder);
  TRY(const auto lower, file.GetBool("tokenizer.ggml.normalizer.lowercase"));
  encoder->lower_case_ = lower.value_or(true);
  TRY(const auto strip, file.GetBool("tokenizer.ggml.normalizer.strip_accents"));
  encoder->strips_accents_ = strip.value_or(encoder->lower_case_);
  encoder->unknown_ = vocabulary.unknown;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const int32_t id = static_cast<int32_t>(i);
    if (vocabulary.IsNormal(id) && !vocabulary.texts[i].empty()) {
      encoder->tokens_.Add(vocabulary.texts[i], id);
    }
  }
  return encoder;
}

std::string WordPieceEncoder::Normalize(std::string_view text) const {
  std::string clean;
  clean.reserve(text.size() + text.size() / 4);
  ForEachCharacter(text, [&](uint32_t code) {
    if (IsDropped(code)) return;
    if (IsSpace(code)) {
      clean += ' ';
    } else if (IsIdeograph(code)) {
      clean += ' ';
      AppendUtf8(code, &clean);
      clean += ' ';
    } else {
      AppendUtf8(code, &clean);
    }
  });
  if (strips_accents_) clean = DecomposeUtf8(clean);
  if (!strips_accents_ && !lower_case_) return clean;
  std::string normal;
  normal.reserve(clean.size());
  ForEachCharacter(clean, [&](uint32_t code) {
    if (strips_accents_ && WordPieceCategory(code) == "Mn") return;
    if (lower_case_ && code == kUpperDottedI) {
      normal += 'i';
      return AppendUtf8(kDotAbove, &normal);
    }
    AppendUtf8(lower_case_ ? LowerCase(code) : code, &normal);
  });
  return normal;
}

void WordPieceEncoder::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  const std::string normal = Normalize(text);
  const std::string_view all = normal;
  size_t begin = 0;  // of the word
  for (size_t at = 0; at < all.size();) {
    const std::string_view rest = all.substr(at);
    const size_t length = CharacterLength(rest);
    const uint32_t code = FirstCodePoint(rest);
    const bool space = IsSpace(code);
    if (space || IsPunctuation(code)) {
      EncodeWord(all.substr(begin, at - begin), ids);
      if (!space) EncodeWord(rest.substr(0, length), ids);
      begin = at + length;
    }
    at += length;
  }
  EncodeWord(all.substr(begin), ids);
}

// Time is bounded by the limit of a word: from each of its characters the trie is walked to the end
// of the word at most.
void WordPieceEncoder::EncodeWord(std::string_view word, std::vector<int32_t>* ids) const {
  if (word.empty()) return;
  if (CountCharacters(word) > kMaxWord) return ids->push_back(unknown_);
  const size_t first = ids->size();
  const auto step = [&](uint32_t node, std::string_view bytes) {
    for (const char byte : bytes) {
      if (node != ByteTrie::kNone) node = tokens_.Step(node, byte);
    }
    return node;
  };
  for (size_t begin = 0; begin < word.size();) {
    uint32_t node = ByteTrie::kRoot;
    // Only what begins a word has the mark, and so a typed one matches nothing.
    if (begin == 0) {
      node = step(node, kEscapedSpace);
    } else if (word.substr(begin).starts_with(kEscapedSpace)) {
      node = ByteTrie::kNone;
    }
    size_t end = begin;
    int32_t longest = -1;
    for (size_t at = begin; at < word.size() && node != ByteTrie::kNone;) {
      node = tokens_.Step(node, word[at++]);
      if (node == ByteTrie::kNone || tokens_.IdAt(node) < 0) continue;
      longest = tokens_.IdAt(node);
      end = at;
    }
    if (longest < 0) {
      ids->resize(first);
      return ids->push_back(unknown_);
    }
    ids->push_back(longest);
    begin = end;
  }
}

// A token that goes on with a word has no space.
std::string WordPieceEncoder::Bytes(std::string_view text) const {
  return ReplaceAll(text, kEscapedSpace, " ");
}

}  // namespace lockstep
