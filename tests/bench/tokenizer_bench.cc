// Encode on the texts that make tokenizers slow: one word, or one run of spaces, of 64K to 256K
// bytes. Time per byte must stay about the same from one size to the next.
//
//   cmake --build build/release --target tokenizer_bench && build/release/tokenizer_bench
//
// VOCABULARY=FILE.gguf measures another vocabulary than the two of tests/data.
// Where a text needs a few MB, glibc gives them back after each one, and paging them in again can
// cost more than the encoding: one step of up to ten times. It is in the times on purpose, as a
// server pays it too; without it:
//   GLIBC_TUNABLES=glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=1073741824
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

constexpr struct {
  const char* name;
  const char* unit;
} kTexts[] = {{"a", "a"},
              {"space", " "},
              {"newline", "\n"},
              {"us", "us"},
              {"digit", "7"},
              {"invalid", "\xFF"},
              {"prose", "Once upon a time there was a king, who had 3 daughters; it's true.\n"}};

void Encode(benchmark::State& state, const Tokenizer& tokenizer, std::string_view unit) {
  std::string text;
  while (text.size() < static_cast<size_t>(state.range(0))) text += unit;
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Encode(text, false));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void Register(const std::string& path) {
  const auto tokenizer = std::make_shared<Tokenizer>(LoadTokenizer(path));
  const std::string stem = path.substr(path.rfind('/') + 1);
  for (const auto& text : kTexts) {
    benchmark::RegisterBenchmark(
        (stem + "/" + text.name).c_str(),
        [tokenizer, text](benchmark::State& state) { Encode(state, *tokenizer, text.unit); })
        ->RangeMultiplier(2)
        ->Range(64 << 10, 256 << 10)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (const char* path = std::getenv("VOCABULARY")) {
    lockstep::Register(path);
  } else {
    lockstep::Register(lockstep::TestData("tales-spm.gguf"));
    lockstep::Register(lockstep::TestData("tales-bpe.gguf"));
  }
  benchmark::RunSpecifiedBenchmarks();
}
