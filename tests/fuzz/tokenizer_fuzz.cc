// Any bytes through every kind of tokenizer and back, and through every pre-tokenizer's patterns.
// Run from anywhere:
//   cmake -S . -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ \
//     -DLOCKSTEP_SANITIZE=address,undefined,fuzzer-no-link
//   cmake --build build/fuzz --target tokenizer_fuzz && build/fuzz/tokenizer_fuzz
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/tokenizer/normal_form.h"
#include "core/tokenizer/pretokenizer.h"
#include "core/tokenizer/tokenizer.h"
#include "tests/fuzz/check.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

// Cut in three, the middle one from outside, as a chat prompt is.
void Prompt(const Tokenizer& tokenizer, std::string_view text) {
  const size_t third = text.size() / 3;
  TrustedText prompt(std::string(text.substr(0, third)), true);
  prompt.Append(text.substr(third, third), false);
  prompt.Append(text.substr(2 * third), true);
  for (const int32_t id : tokenizer.Encode(prompt, true)) {
    Check(id >= 0 && static_cast<size_t>(id) < tokenizer.vocab_size(), "an id out of range");
  }
}

void Words(std::string_view text) {
  static const std::vector<Pretokenizer> kAll = [] {
    std::vector<Pretokenizer> all;
    for (const char* name :
         {"default", "qwen35", "falcon", "deepseek-coder", "deepseek-llm", "deepseek-v3", "tekken",
          "gpt-4o", "youtu", "kimi-k2", "jais-2", "viking"}) {
      all.push_back(Pretokenizer::Create(name).value());
    }
    return all;
  }();
  for (const Pretokenizer& pretokenizer : kAll) {
    size_t size = 0;
    for (const std::string_view word : pretokenizer.Split(text)) {
      Check(word.data() == text.data() + size && !word.empty(), "a word out of place");
      size += word.size();
    }
    Check(size == text.size(), "the words do not cover the text");
  }
}

void RoundTrip(const Tokenizer& tokenizer, std::string_view text, bool lossless = true) {
  Prompt(tokenizer, text);
  const std::vector<int32_t> ids = tokenizer.Encode(text, false);
  for (const int32_t id : ids) {
    Check(id >= 0 && static_cast<size_t>(id) < tokenizer.vocab_size(), "an id out of range");
    Check(!tokenizer.IsControl(id), "a control token from plain text");
  }
  // SentencePiece's "▁" comes back as the space that it stands for.
  if (lossless && text.find("▁") == text.npos)
    Check(tokenizer.Decode(ids) == text, "bytes were lost");

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
  static const Tokenizer unigram = LoadTokenizer(TestData("tales-unigram.gguf"));
  static const Tokenizer wordpiece = LoadTokenizer(TestData("tales-wordpiece.gguf"));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RoundTrip(spm, text);
  RoundTrip(bpe, text);
  RoundTrip(unigram, text, /*lossless=*/false);
  Prompt(wordpiece, text);  // unknown words are a control token in published files
  Words(text);
  ComposeUtf8(text);
  DecomposeUtf8(text);
  return 0;
}
