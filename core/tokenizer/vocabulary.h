// The tokens of a GGUF file's tokenizer.* metadata, checked and copied: texts, kinds, the ids with
// a role. Immutable after Load; movable, but not copyable, because `ids` points into `texts`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"

namespace lockstep {

enum class TokenKind : uint8_t {
  kNormal,       // ordinary text, in the encoder's notation
  kUnknown,      // stands for text that the vocabulary cannot express
  kControl,      // has a meaning for the model and no text: never made from text from outside
  kUserDefined,  // literal text that is always one token
  kUnused,       // as kNormal
  kByte,         // "<0x0A>" is the byte 0x0A
};

// The tokens that mark a gap to be filled, -1 where there is none: what is before and behind it,
// and where the filling begins; and those that name a repository and part its files.
struct FillTokens {
  int32_t prefix = -1, suffix = -1, middle = -1, repository = -1, file = -1;
  bool can_fill() const { return prefix >= 0 && suffix >= 0 && middle >= 0; }
};

struct Vocabulary {
  [[nodiscard]] static Result<Vocabulary> Load(const GgufFile& file);
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  size_t size() const { return texts.size(); }
  int32_t Find(std::string_view text) const;        // -1 if there is none
  int32_t FindNormal(std::string_view text) const;  // -1 unless it IsNormal as well
  bool IsNormal(int32_t id) const;                  // may ordinary text become it?

  // BERT's texts begin and end with tokens that files name in ways of their own; where no key does,
  // they are known by their texts. bos and eos are these then, and unknown is BERT's.
  [[nodiscard]] Status LoadWordPieceRoles(const GgufFile& file);
  // To Gemma 4 "</s>" is a tag of HTML, unless a key names it; and it stops where the result of a
  // call is to follow.
  [[nodiscard]] Status LoadGemma4Ends(const GgufFile& file);

  std::vector<std::string> texts;                     // [vocab]
  std::vector<TokenKind> kinds;                       // [vocab]
  std::vector<bool> end_of_generation;                // [vocab]
  std::unordered_map<std::string_view, int32_t> ids;  // by text
  size_t longest = 0;                                 // bytes of the longest text
  int32_t bos = -1;                                   // -1: the file names none; so below
  int32_t eos = -1;
  int32_t unknown = -1;
  int32_t pad = -1;  // what others fill texts up with, to one length
  FillTokens fill;
};

// The byte that "<0x0A>" names, -1 if the text has another form.
int ByteOfText(std::string_view text);

}  // namespace lockstep
