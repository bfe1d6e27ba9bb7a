// Any bytes through both kinds of tokenizer and back. Run from anywhere:
//   cmake -S . -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ \
//     -DLOCKSTEP_SANITIZE=address,undefined,fuzzer-no-link
//   cmake --build build/fuzz --target tokenizer_fuzz && build/fuzz/tokenizer_fuzz
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/tokenizer.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

void Check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "tokenizer_fuzz: %s\n", what);
  std::abort();
}

void RoundTrip(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text, false);
  for (const int32_t id : ids) {
    Check(id >= 0 && static_cast<size_t>(id) < tokenizer.vocab_size(), "an id out of range");
    Check(!tokenizer.IsControl(id), "a control token from plain text");
  }
  // SentencePiece's "▁" comes back as the space that it stands for.
  if (text.find("▁") == text.npos) Check(tokenizer.Decode(ids) == text, "bytes were lost");

  Utf8Assembler assembler;
  std::string streamed;
  for (const int32_t id : tokenizer.Encode(text, true, SpecialTokens::kParse)) {
    streamed += assembler.Push(tokenizer.TokenBytes(id));
  }
  streamed += assembler.Finish();
  for (size_t i = 0; i < streamed.size();) {
    const Utf8Scan scan = ScanUtf8(std::string_view(streamed).substr(i));
    Check(scan.kind == Utf8Scan::Kind::kCharacter, "the assembler let invalid bytes out");
    i += scan.length;
  }
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  static const Tokenizer spm = LoadTokenizer(TestData("tales-spm.gguf"));
  static const Tokenizer bpe = LoadTokenizer(TestData("tales-bpe.gguf"));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RoundTrip(spm, text);
  RoundTrip(bpe, text);
  return 0;
}
