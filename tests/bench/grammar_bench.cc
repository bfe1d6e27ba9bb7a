// Masks of allowed tokens for a vocabulary of 128,256 tokens: the time of one, found anew or
// remembered, at places of a text where few or most tokens are allowed.
//
//   cmake --build build/release --target grammar_bench && build/release/grammar_bench
//
// compile: from the text of the grammar.  cold: by a request's first matcher, nothing remembered.
// walk: the trie again with the automaton warm.  warm: the mask is remembered.
// The vocabulary is made of words over letters as frequent as in English, with and without a blank
// in front, numbers, runs of blanks, punctuation and pieces of characters. VOCABULARY=FILE.gguf
// measures that file's instead.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/grammar/token_grammar.h"
#include "tests/support/random.h"
#include "tests/support/vocabulary_files.h"

namespace lockstep {
namespace {

constexpr size_t kVocab = 128'256;

std::vector<std::string> MakeTokens() {
  Random random(1);
  std::set<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.insert(std::string(1, static_cast<char>(byte)));
  for (size_t n = 2; n <= 128; ++n) tokens.insert(std::string(n, ' '));
  for (int n = 0; n < 1000; ++n) tokens.insert(std::to_string(n));
  const std::string marks = "\"\\{}[]:,.;()<>/=+-*&%$#@!?'_|\n\t ";
  for (const char a : marks) {
    for (const char b : marks) {
      tokens.insert({a, b});
      for (const char c : marks) {
        if (random.Below(8) == 0) tokens.insert({a, b, c});
      }
    }
  }
  const std::string letters = "eeeeettttaaaaoooiiinnnsssrrhhddllluuccmmffyyggppwwbbvkxjqzETASIN";
  while (tokens.size() < kVocab) {
    std::string word(random.Below(3) == 0 ? "" : " ");
    for (size_t length = 2 + random.Below(10); length > 0; --length) {
      word += letters[random.Below(letters.size())];
    }
    if (random.Below(5) == 0) {  // other scripts: two and three bytes a character
      word.resize(1);
      for (size_t length = 1 + random.Below(5); length > 0; --length) {
        const auto low = static_cast<char>(0x80 + random.Below(64));
        word += random.Below(2) == 0 ? std::string{'\xD0', low} : std::string{'\xE4', '\xB8', low};
      }
    }
    tokens.insert(word);
  }
  return {tokens.begin(), tokens.end()};
}

std::shared_ptr<const GrammarVocabulary> Vocabulary(size_t mask_bytes) {
  static const std::vector<std::string> made = MakeTokens();
  if (const char* path = std::getenv("VOCABULARY")) {
    static const Tokenizer tokenizer = LoadTokenizer(path);
    std::vector<std::string_view> tokens;
    for (size_t i = 0; i < tokenizer.vocab_size(); ++i) {
      const auto id = static_cast<int32_t>(i);
      tokens.push_back(tokenizer.IsControl(id) ? "" : tokenizer.TokenBytes(id));
    }
    return std::make_shared<GrammarVocabulary>(tokens, std::vector<int32_t>{tokenizer.eos()},
                                               mask_bytes);
  }
  const std::vector<std::string_view> tokens(made.begin(), made.end());
  return std::make_shared<GrammarVocabulary>(tokens, std::vector<int32_t>{0}, mask_bytes);
}

constexpr char kJson[] = R"(root ::= object
ws ::= (" " | "\n" [ \t]{0,32})?
char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
string ::= "\"" char* "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+-]? [0-9]{1,2})?
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)* ws)? "}"
array ::= "[" ws (value ("," ws value)* ws)? "]"
)";
constexpr char kBounded[] = R"(root ::= "{\"name\": \"" char{1,2000} "\"}"
char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
)";
constexpr char kFields[] =
    R"(root ::= "{\"city\": " ("\"Paris\"" | "\"Rome\"" | "\"Oslo\"") ", \"days\": " [1-9] [0-9]? "}"
)";

constexpr struct {
  const char* name;
  const char* gbnf;
  const char* text;  // so far
} kPlaces[] = {{"json/start", kJson, ""},
               {"json/key", kJson, "{\"a"},
               {"json/string", kJson, "{\"a\": [{\"b\": \"once upon"},
               {"json/value", kJson, "{\"a\":"},
               {"json/number", kJson, "{\"a\": [1, 2"},
               {"bounded/string", kBounded, "{\"name\": \"once upon"},
               {"fields/enum", kFields, "{\"city\": "},
               {"prose", "root ::= [^\\x00-\\x08]*", "once"}};

std::shared_ptr<const TokenGrammar> Bind(const char* gbnf, size_t mask_bytes) {
  return std::make_shared<TokenGrammar>(ParseGbnf(gbnf).value(), Vocabulary(mask_bytes));
}

template <bool kRemember, bool kNewMatcher>
void Mask(benchmark::State& state, const char* gbnf, const char* text) {
  const auto grammar = Bind(gbnf, kRemember ? GrammarVocabulary::kMaskBytes : 0);
  std::vector<uint64_t> mask(grammar->vocabulary().words());
  auto matcher = std::make_unique<GrammarMatcher>(grammar);
  if (!matcher->Accept(text) || !matcher->Allow(false, mask)) std::abort();
  size_t allowed = 0;
  for (const uint64_t word : mask) allowed += static_cast<size_t>(__builtin_popcountll(word));
  for (auto _ : state) {
    if (kNewMatcher) {
      matcher = std::make_unique<GrammarMatcher>(grammar);
      benchmark::DoNotOptimize(matcher->Accept(text));
    }
    benchmark::DoNotOptimize(matcher->Allow(false, mask));
  }
  state.counters["allowed"] = static_cast<double>(allowed);
}

void Register() {
  for (const auto& [name, text] : {std::pair("json", kJson), std::pair("bounded", kBounded)}) {
    benchmark::RegisterBenchmark((std::string(name) + "/compile").c_str(),
                                 [gbnf = text](benchmark::State& state) {
                                   for (auto _ : state) {
                                     benchmark::DoNotOptimize(ParseGbnf(gbnf));
                                   }
                                 })
        ->Unit(benchmark::kMicrosecond);
  }
  for (const auto& place : kPlaces) {
    const std::string name = place.name;
    const auto add = [&](const char* kind, auto* run) {
      benchmark::RegisterBenchmark((name + "/" + kind).c_str(), [run,
                                                                 place](benchmark::State& state) {
        run(state, place.gbnf, place.text);
      })->Unit(benchmark::kMicrosecond);
    };
    add("cold", Mask<false, true>);
    add("walk", Mask<false, false>);
    add("warm", Mask<true, false>);
  }
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  lockstep::Register();
  benchmark::RunSpecifiedBenchmarks();
}
