// Text to token ids and back, from a GGUF file's tokenizer.* metadata, by the encoder that
// tokenizer.ggml.model names. Immutable after Create; every const method may be called from any
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/base/trusted_text.h"
#include "core/base/utf8.h"  // Utf8Assembler, for streams of TokenBytes
#include "core/gguf/gguf_file.h"
#include "core/tokenizer/token_pair.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

enum class SpecialTokens {
  // "<s>" in the text is three characters: the rule for all text from outside. User-defined tokens
  // are recognised, as ordinary words of the vocabulary that happen not to be cut; not those,
  // however, that can only be control tokens: "<|user|>", or what the metadata name EOS.
  kAsText,
  kParse,  // control and user-defined tokens are recognised by their text, the longest first
};

class Tokenizer {
 public:
  // What encoding takes of memory for each byte of the text, its tokens included, at most.
  static constexpr size_t kEncodeBytes = 40;

  // Errors are kBadFile and name the key. The file's bytes need not outlive the tokenizer.
  [[nodiscard]] static Result<Tokenizer> Create(const GgufFile& file);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Time is linear in text.size() (n log n at worst). Invalid UTF-8 is encoded byte by byte where
  // the vocabulary can, and replaced by U+FFFD's pieces or the unknown token where it cannot.
  // REQUIRES: text.size() < 2^29.
  // add_special: prepend BOS / append EOS where the file's add_bos_token / add_eos_token say so.
  std::vector<int32_t> Encode(std::string_view text, bool add_special,
                              SpecialTokens special = SpecialTokens::kAsText) const;

  // Encodes by kParse where the text is trusted and by kAsText elsewhere: words may cross from one
  // run to the next, but no byte of a control token's text is from outside. BOS and EOS are not
  // added where the text brings them.
  std::vector<int32_t> Encode(const TrustedText& text, bool add_special) const;

  // A query and a document to be scored: by the file's template "rerank" if it has one, else with
  // the tokens that the vocabulary puts around and between two texts. Both are text alone, whatever
  // they spell. A pair beyond the limits is cut as CutPair does it.
  TokenizedPair EncodePair(std::string_view query, std::string_view document,
                           const PairLimits& limits = {}) const;

  // The bytes that a token stands for; empty for control tokens. Not always whole UTF-8.
  // REQUIRES: 0 <= id < vocab_size().
  std::string_view TokenBytes(int32_t id) const;
  // The token's text in the vocabulary, such as "<0x0A>" or "▁the". REQUIRES as above.
  std::string_view TokenText(int32_t id) const;
  // The whole text of ids, without the space that Encode put in front of it.
  std::string Decode(std::span<const int32_t> ids) const;

  bool IsControl(int32_t id) const;
  bool IsEndOfGeneration(int32_t id) const;  // EOS, EOT, EOM of the metadata and their known texts
  int32_t bos() const;                       // -1 if the file names none
  int32_t eos() const;                       // -1 if the file names none
  int32_t pad() const;                       // -1 if the file names none
  const FillTokens& fill_tokens() const;
  const std::string& name() const;  // for people, such as "gpt2, qwen2"
  bool adds_bos() const;            // where asked to add_special
  bool adds_eos() const;            // where asked to add_special
  size_t vocab_size() const;
  // What the vocabulary cannot express, for the log; empty if there is nothing to say.
  std::string warning() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace lockstep
