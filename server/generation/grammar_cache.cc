#include "server/generation/grammar_cache.h"

#include <algorithm>
#include <utility>

#include "core/grammar/grammar.h"
#include "server/generation/tool_calls.h"
#include "server/schema/json_schema.h"

namespace lockstep {

GrammarCache::GrammarCache(const Tokenizer& tokenizer, size_t max_entries, size_t max_bytes)
    : tokenizer_(tokenizer), max_bytes_(max_bytes), bound_(max_entries, max_bytes) {}

GrammarCache::Bound GrammarCache::Gbnf(std::string_view text) {
  return Find(
      "gbnf " + std::string(text), [text] { return ParseGbnf(text); }, plain_);
}

GrammarCache::Bound GrammarCache::JsonSchema(const Json& schema, std::string_view where) {
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
  if (auto found = bound_.Find(key)) return *std::move(found);
  const auto grammar = compile();
  if (!grammar) return tl::unexpected(grammar.error());
  std::call_once(vocabulary.prepared, [&] {
    const bool tools = &vocabulary == &with_tool_tokens_;
    vocabulary.made = GrammarVocabulary::Create(
        tokenizer_, tools ? std::span(kToolTokens) : std::span<const std::string_view>());
  });
  auto bound = std::make_shared<const TokenGrammar>(*grammar, vocabulary.made);
  const size_t bytes = std::min(key.size() + bound->grammar().bytes(), max_bytes_);
  return bound_.Insert(std::move(key), std::move(bound), bytes);
}

}  // namespace lockstep
