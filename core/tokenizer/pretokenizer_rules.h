// The pre-tokenizers that published files name: the patterns of each, and what else goes with the
// name. Constant data, safe to share between threads.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace lockstep {

struct PretokenizerRules {
  std::string_view names;               // with spaces between them: the first is the usual one
  std::array<const char*, 6> patterns;  // of PCRE2, in order; the first nullptr ends them
  // "ignore_merges" of Hugging Face's tokenizers: see Pretokenizer.
  bool whole_words_first = false;
  bool adds_bos = false;
  // Text is brought to NFC first, as the models' own tokenizers do and have learnt from; llama.cpp
  // leaves it as it is, so the ids differ where the text is not NFC already.
  bool composes = false;
};

// nullptr if no rules have this name.
const PretokenizerRules* FindPretokenizerRules(std::string_view name);
// "a, b, c": of each set of rules its first name, for messages.
std::string KnownPretokenizers();

}  // namespace lockstep
