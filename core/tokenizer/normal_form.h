// Unicode's normalization forms NFC and NFD. Stateless.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// `text` with characters and the marks that follow them composed where one character stands for
// both. Time is linear: of more than 64 marks in a row, each 64 are composed for themselves. Bytes
// that are not UTF-8 stay as they are.
std::string ComposeUtf8(std::string_view text);

// `text` with characters taken apart into what they are made of: letters from their marks, Hangul
// syllables into their letters. Otherwise as above.
std::string DecomposeUtf8(std::string_view text);

}  // namespace lockstep
