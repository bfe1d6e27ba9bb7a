// UTF-8, character by character, and the assembler that turns a stream of token bytes into whole
// characters. ScanUtf8 is stateless; an Utf8Assembler belongs to one stream and one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep {

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

// Appends a code point. REQUIRES: code_point < 0x800.
void AppendUtf8(uint32_t code_point, std::string* out);

// Joins the bytes of successive tokens and lets only whole UTF-8 characters out. The concatenation
// of all that Push and Finish return does not depend on how the bytes were cut; invalid bytes come
// out as U+FFFD, one for each maximal invalid part.
class Utf8Assembler {
 public:
  std::string Push(std::string_view bytes);
  std::string Finish();  // what is still held back, as U+FFFD; the assembler is empty afterwards

 private:
  std::string pending_;  // at most 3 bytes: a valid but unfinished character
};

}  // namespace lockstep
