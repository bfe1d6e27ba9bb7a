// UTF-8: where characters begin and end, their code points, and the assembler that turns a stream
// of token bytes into whole characters. All functions are stateless; an Utf8Assembler belongs to
// one stream and one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep {

inline constexpr uint32_t kMaxCodePoint = 0x10FFFF;
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

struct Utf8Scan {
  enum class Kind {
    kCharacter,   // a well-formed character
    kInvalid,     // a maximal invalid part: one U+FFFD by Unicode's recommended practice
    kUnfinished,  // the text ends inside what may become a character
  };
  Kind kind;
  size_t length;  // in bytes, at least 1
};

// What stands at the front of `text` (Unicode, table 3-7). REQUIRES: !text.empty().
Utf8Scan ScanUtf8(std::string_view text);

// Well-formed as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// Text as a row of characters. Text from a client has been checked, but a filter may have cut it,
// so a byte that begins no well-formed character counts as a character of its own, with its own
// value as the code point.
size_t CharacterLength(std::string_view text);      // in bytes. REQUIRES: !text.empty()
uint32_t FirstCodePoint(std::string_view text);     // REQUIRES: !text.empty()
size_t LastCharacterLength(std::string_view text);  // in bytes. REQUIRES: !text.empty()
size_t CountCharacters(std::string_view text);
// The characters that begin in `text`, so that the counts of a text's pieces add up to its own
// however it is cut. REQUIRES: the whole text is UTF-8.
size_t CountCharacterStarts(std::string_view text);
// Where the character of that index begins; the size of `text` if there are not as many.
size_t CharacterOffset(std::string_view text, size_t index);

// What Unicode knows as a character: not a surrogate, nor too large.
inline bool IsCodePoint(uint32_t code) {
  return code <= kMaxCodePoint && (code < 0xD800 || code > 0xDFFF);
}
// Appends a code point; surrogates are encoded as any other. REQUIRES: code_point <= kMaxCodePoint.
void AppendUtf8(uint32_t code_point, std::string* out);

// Joins the bytes of successive tokens and lets only whole UTF-8 characters out. The concatenation
// of all that Push and Finish return does not depend on how the bytes were cut; invalid bytes come
// out as U+FFFD, one for each maximal invalid part.
class Utf8Assembler {
 public:
  std::string Push(std::string_view bytes);
  bool whole() const { return pending_.empty(); }  // nothing is held back
  std::string Finish();  // what is still held back, as U+FFFD; the assembler is empty afterwards

 private:
  std::string pending_;  // at most 3 bytes: a valid but unfinished character
};

}  // namespace lockstep
