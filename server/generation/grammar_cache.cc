#include "server/generation/grammar_cache.h"

#include "core/grammar/grammar.h"
#include "server/generation/tool_calls.h"
#include "server/schema/json_schema.h"

namespace lockstep {

GrammarCache::GrammarCache(const Tokenizer& tokenizer, size_t max_entries, size_t max_bytes)
    : tokenizer_(tokenizer), max_entries_(max_entries), max_bytes_(max_bytes) {}

GrammarCache::Bound GrammarCache::Gbnf(std::string_view text) {
  return Find(
      "gbnf " + std::string(text), [text] { return ParseGbnf(text); }, plain_);
}

GrammarCache::Bound GrammarCache::JsonSchema(const OrderedJson& schema, std::string_view where) {
  return Find(
      "schema " + Dump(schema), [&] { return CompileJsonSchema(schema, where); }, plain_);
}

GrammarCache::Bound GrammarCache::JsonObject() {
  return Find(
      "object", [] { return CompileJsonObject(); }, plain_);
}

GrammarCache::Bound GrammarCache::ToolCalls(std::string_view gbnf) {
  return Find(
      "tools " + std::string(gbnf), [gbnf] { return ParseGbnf(gbnf); }, with_tool_tokens_);
}

GrammarCache::Bound GrammarCache::Find(std::string key, const Compile& compile,
                                       Vocabulary& vocabulary) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->second;
    }
  }
  const auto grammar = compile();
  if (!grammar) return tl::unexpected(grammar.error());
  std::call_once(vocabulary.prepared, [&] {
    const bool tools = &vocabulary == &with_tool_tokens_;
    vocabulary.made = GrammarVocabulary::Create(
        tokenizer_, tools ? std::span(kToolTokens) : std::span<const std::string_view>());
  });

  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {  // another thread was first
    return found->second->second;
  }
  const auto bytes_of = [](const Entry& entry) {
    return entry.first.size() + entry.second->grammar().bytes();
  };
  auto bound = std::make_shared<const TokenGrammar>(*grammar, vocabulary.made);
  entries_.emplace_front(std::move(key), bound);
  by_key_.emplace(entries_.front().first, entries_.begin());
  bytes_ += bytes_of(entries_.front());
  while (entries_.size() > max_entries_ || (bytes_ > max_bytes_ && entries_.size() > 1)) {
    bytes_ -= bytes_of(entries_.back());
    by_key_.erase(entries_.back().first);
    entries_.pop_back();
  }
  return bound;
}

size_t GrammarCache::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace lockstep
