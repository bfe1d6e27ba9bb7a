// The key is the text itself behind a word for its kind, and not a hash of it: two texts must never
// share a grammar, since one of them would bind what the other one's client asked for.
#include "server/generation/grammar_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "core/grammar/grammar.h"
#include "server/schema/json_schema.h"

namespace lockstep {

GrammarCache::GrammarCache(const Tokenizer& tokenizer, SpokenTokens spoken, size_t max_entries,
                           size_t max_bytes)
    : tokenizer_(tokenizer),
      max_bytes_(max_bytes),
      spoken_(std::move(spoken)),
      bound_(max_entries, max_bytes) {}

GrammarCache::Bound GrammarCache::Gbnf(std::string_view text) {
  return Find(
      "gbnf " + std::string(text), [text](auto*) { return ParseGbnf(text); }, plain_);
}

GrammarCache::Bound GrammarCache::JsonSchema(const Json& schema, std::string_view where,
                                             const JsonSchemaOptions& options,
                                             std::vector<std::string>* dropped) {
  // What is dropped is named with its place, so that a schema that is not strict has one grammar
  // for each place at which it stands.
  const std::string kind = options.strict ? "schema " : "schema at " + std::string(where) + " ";
  return Find(
      kind + Dump(schema),
      [&](std::vector<std::string>* lost) {
        return CompileJsonSchema(schema, where, options, lost);
      },
      plain_, dropped);
}

GrammarCache::Bound GrammarCache::JsonObject() {
  return Find(
      "object", [](auto*) { return CompileJsonObject(); }, plain_);
}

GrammarCache::Bound GrammarCache::Chat(std::string_view gbnf, std::string_view root) {
  return Find(
      fmt::format("chat {} {}", root, gbnf), [gbnf, root](auto*) { return ParseGbnf(gbnf, root); },
      with_spoken_);
}

GrammarCache::Bound GrammarCache::Find(std::string key, const Compile& compile,
                                       Vocabulary& vocabulary, std::vector<std::string>* dropped) {
  if (const auto found = bound_.Find(key)) {
    if (dropped != nullptr) *dropped = (*found)->dropped;
    return (*found)->grammar;
  }
  // No lock is held while a grammar is compiled. Two threads that miss the same key both compile
  // it, and Insert gives both the first one.
  auto entry = std::make_shared<Entry>();
  TRY(const auto grammar, compile(&entry->dropped));
  std::call_once(vocabulary.prepared, [&] {
    std::vector<std::string_view> spoken;
    if (&vocabulary == &with_spoken_) {
      for (const auto& [token, text] : spoken_) spoken.push_back(text);
    }
    vocabulary.made = GrammarVocabulary::Create(tokenizer_, spoken);
  });
  if (dropped != nullptr) *dropped = entry->dropped;
  entry->grammar = std::make_shared<const TokenGrammar>(grammar, vocabulary.made);
  const size_t bytes = std::min(key.size() + grammar->bytes(), max_bytes_);
  return bound_.Insert(std::move(key), std::move(entry), bytes)->grammar;
}

}  // namespace lockstep
