// Helper of compare_tokenizers: our ids of many texts, and the text that they decode to.
//
//   lockstep_tokens VOCABULARY.gguf TEXTS OUT PARSE
// As llama_tokens, but after the ids of a text follow the decoded text's length as u32 and bytes.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>

#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

void Write(std::ofstream& out, const void* data, uint32_t count, uint32_t size) {
  out.write(reinterpret_cast<const char*>(&count), 4);
  out.write(static_cast<const char*>(data), static_cast<std::streamsize>(size) * count);
}

int Run(char** argv) {
  const Tokenizer tokenizer = LoadTokenizer(argv[1]);
  const std::string texts = ReadFile(argv[2]);
  const auto special = argv[4][0] == '1' ? SpecialTokens::kParse : SpecialTokens::kAsText;
  std::ofstream out(argv[3], std::ios::binary);
  for (size_t at = 0; at + 4 <= texts.size();) {
    uint32_t size;
    std::memcpy(&size, &texts[at], 4);
    const auto ids = tokenizer.Encode(std::string_view(texts).substr(at + 4, size), false, special);
    const std::string decoded = tokenizer.Decode(ids);
    Write(out, ids.data(), static_cast<uint32_t>(ids.size()), 4);
    Write(out, decoded.data(), static_cast<uint32_t>(decoded.size()), 1);
    at += 4 + size;
  }
  return out.flush() ? 0 : 1;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    return lockstep::Run(argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep_tokens: %s\n", error.what());
    return 1;
  }
}
