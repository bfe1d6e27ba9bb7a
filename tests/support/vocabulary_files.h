// Vocabularies on disk for the tokenizer's tests: tests/data/NAME.gguf, and texts with the ids that
// they must become (see tests/data/make_vocabularies.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tokenizer/tokenizer.h"

namespace lockstep {

struct TokenizedText {
  std::string text;
  std::vector<int32_t> ids;
};

std::string ReadFile(const std::string& path);  // throws if there is none
std::string TestData(const std::string& name);  // path of tests/data/NAME
Tokenizer LoadTokenizer(const std::string& gguf_path);
// `texts` is .inp: each text is followed by "\n__ggml_vocab_test__\n". `ids` is .out: a line each.
std::vector<TokenizedText> ReadTokenizedTexts(const std::string& texts, const std::string& ids);

}  // namespace lockstep
