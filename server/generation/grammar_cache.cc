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

namespace {

// What compiling takes of memory for each byte of a grammar's or schema's text, at most.
constexpr size_t kCompileBytes = 96;

}  // namespace

GrammarCache::GrammarCache(const Tokenizer& tokenizer, SpokenTokens spoken, CompileLimits limits,
                           size_t max_entries, size_t max_bytes, MemoryBudget* memory)
    : tokenizer_(tokenizer),
      max_bytes_(max_bytes),
      memory_(memory),
      spoken_(std::move(spoken)),
      queue_(std::move(limits)),
      bound_(max_entries, max_bytes) {}

GrammarCache::Bound GrammarCache::Gbnf(std::string_view text, CompileClient& client) {
  return Find(
      "gbnf " + std::string(text),
      [text](WorkMeter* meter, auto*) { return ParseGbnf(text, "root", meter); }, plain_, client);
}

GrammarCache::Bound GrammarCache::JsonSchema(const Json& schema, std::string_view where,
                                             bool strict, CompileClient& client,
                                             std::vector<std::string>* dropped) {
  // What is dropped is named with its place, so that a schema that is not strict has one grammar
  // for each place at which it stands.
  const std::string kind = strict ? "schema " : "schema at " + std::string(where) + " ";
  return Find(
      kind + Dump(schema),
      [&](WorkMeter* meter, std::vector<std::string>* lost) {
        return CompileJsonSchema(schema, where, {strict, meter}, lost);
      },
      plain_, client, dropped);
}

GrammarCache::Bound GrammarCache::JsonObject(CompileClient& client) {
  return Find(
      "object", [](auto*, auto*) { return CompileJsonObject(); }, plain_, client);
}

// Writing the rules is most of the work, and comes before it is known whether they are remembered.
GrammarCache::Bound GrammarCache::Chat(const WriteGbnf& write, std::string_view root,
                                       CompileClient& client) {
  std::shared_ptr<const Entry> entry;
  TRY_OK(queue_.Run(client, [&](WorkMeter& meter) -> Status {
    TRY(const std::string gbnf, write(&meter));
    const auto parse = [&](WorkMeter*, auto*) { return ParseGbnf(gbnf, root, &meter); };
    TRY(entry, Make(fmt::format("chat {} {}", root, gbnf), parse, with_spoken_, meter));
    return {};
  }));
  return entry->grammar;
}

GrammarCache::Bound GrammarCache::Find(const std::string& key, const Compile& compile,
                                       Vocabulary& vocabulary, CompileClient& client,
                                       std::vector<std::string>* dropped) {
  std::shared_ptr<const Entry> entry = bound_.Find(key).value_or(nullptr);
  if (entry == nullptr) {
    TRY_OK(queue_.Run(client, [&](WorkMeter& meter) -> Status {
      TRY(entry, Make(key, compile, vocabulary, meter));
      return {};
    }));
  }
  if (dropped != nullptr) *dropped = entry->dropped;
  return entry->grammar;
}

Result<std::shared_ptr<const GrammarCache::Entry>> GrammarCache::Make(const std::string& key,
                                                                      const Compile& compile,
                                                                      Vocabulary& vocabulary,
                                                                      WorkMeter& meter) {
  // Whoever had the turn before may have compiled the same.
  if (auto known = bound_.Find(key)) return *std::move(known);
  MemoryBudget::Share memory(memory_);
  if (!memory.Resize(key.size() * kCompileBytes)) {
    bound_.Clear();  // what is remembered makes way for what is asked for
    TRY_OK(memory.Resize(key.size() * kCompileBytes));
  }
  auto entry = std::make_shared<Entry>();
  TRY(const auto grammar, compile(&meter, &entry->dropped));
  std::call_once(vocabulary.prepared, [&] {
    std::vector<std::string_view> spoken;
    if (&vocabulary == &with_spoken_) {
      for (const auto& [token, text] : spoken_) spoken.push_back(text);
    }
    vocabulary.made = GrammarVocabulary::Create(tokenizer_, spoken);
  });
  const size_t bytes = std::min(key.size() + grammar->bytes(), max_bytes_);
  memory.Force(key.size() + grammar->bytes());
  entry->grammar =
      std::make_shared<const TokenGrammar>(grammar, vocabulary.made, std::move(memory));
  return bound_.Insert(key, std::move(entry), bytes);
}

}  // namespace lockstep
