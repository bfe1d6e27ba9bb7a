// Any bytes as a grammar, and as the text that it is to match. Run from anywhere:
//   cmake -S . -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ \
//     -DLOCKSTEP_SANITIZE=address,undefined,fuzzer-no-link
//   cmake --build build/fuzz --target gbnf_fuzz && build/fuzz/gbnf_fuzz
// Input: the text to match up to the first NUL, then the grammar.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/grammar/token_grammar.h"
#include "tests/fuzz/check.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

void Run(const Tokenizer& tokenizer, std::shared_ptr<const GrammarVocabulary> vocabulary,
         std::string_view text, std::string_view gbnf) {
  const auto grammar = ParseGbnf(gbnf);
  if (!grammar) {
    Check(!grammar.error().message.empty(), "a refusal without a reason");
    return;
  }
  const auto bound = std::make_shared<TokenGrammar>(*grammar, std::move(vocabulary));
  GrammarMatcher matcher(bound);
  std::vector<uint64_t> mask(bound->vocabulary().words());
  for (size_t step = 0; step < 4; ++step) {
    if (!matcher.Allow(false, mask)) return;
    // The first allowed token behind the one that the text points at.
    const size_t first = step < text.size() ? static_cast<uint8_t>(text[step]) : 0;
    for (size_t i = 0; i < tokenizer.vocab_size(); ++i) {
      const size_t token = (first + i) % tokenizer.vocab_size();
      const auto id = static_cast<int32_t>(token);
      if ((mask[token / 64] >> (token % 64) & 1) == 0) continue;
      if (tokenizer.IsControl(id)) continue;
      Check(matcher.Accept(tokenizer.TokenBytes(id)).has_value(),
            "an allowed token is not accepted");
      break;
    }
  }
  for (const char byte : text.substr(0, 200)) {
    if (!matcher.Accept({&byte, 1})) break;
  }
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  static const Tokenizer tokenizer = LoadTokenizer(TestData("tales-bpe.gguf"));
  static const auto vocabulary = GrammarVocabulary::Create(tokenizer);
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\0'), input.size());
  Run(tokenizer, vocabulary, input.substr(0, end), input.substr(std::min(end + 1, input.size())));
  return 0;
}
