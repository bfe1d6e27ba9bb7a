// Grammars of requests, bound to the model's vocabulary: equal texts and equal schemas are compiled
// once while they are remembered, others when it is their client's turn. Thread-safe.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/lru_cache.h"
#include "core/base/memory_budget.h"
#include "core/base/status.h"
#include "core/engine/session.h"
#include "core/grammar/token_grammar.h"
#include "core/tokenizer/tokenizer.h"
#include "server/generation/compile_queue.h"
#include "server/json/json_text.h"

namespace lockstep {

class GrammarCache {
 public:
  static constexpr size_t kMaxEntries = 256;
  // For texts and grammars; masks have a limit of their own.
  static constexpr size_t kMaxBytes = size_t{64} << 20;

  // The tokenizer must outlive the cache. Its vocabulary is prepared at the first use.
  // `spoken`: the control tokens that are texts in answers to chats. Grammars are part of `memory`
  // for as long as they live, if it is not null; it must outlive them.
  explicit GrammarCache(const Tokenizer& tokenizer, SpokenTokens spoken = {},
                        CompileLimits limits = {}, size_t max_entries = kMaxEntries,
                        size_t max_bytes = kMaxBytes, MemoryBudget* memory = nullptr);

  using Bound = Result<std::shared_ptr<const TokenGrammar>>;
  // Errors are those of ParseGbnf, CompileJsonSchema and CompileQueue, and of memory; they are not
  // remembered. `dropped`, if there is one, gets what the schema says in vain, as of
  // CompileJsonSchema.
  [[nodiscard]] Bound Gbnf(std::string_view text, CompileClient& client);
  [[nodiscard]] Bound JsonSchema(const Json& schema, std::string_view where, bool strict,
                                 CompileClient& client,
                                 std::vector<std::string>* dropped = nullptr);
  [[nodiscard]] Bound JsonObject(CompileClient& client);
  // GBNF of an answer to a chat, written when it is the client's turn: the text begins with the
  // rule `root`, and the spoken tokens are texts like any other.
  using WriteGbnf = std::function<Result<std::string>(WorkMeter*)>;
  [[nodiscard]] Bound Chat(const WriteGbnf& write, std::string_view root, CompileClient& client);

  size_t entries() const { return bound_.size(); }

 private:
  struct Entry {
    std::shared_ptr<const TokenGrammar> grammar;
    std::vector<std::string> dropped;
  };
  using Compile = std::function<Result<std::shared_ptr<const Grammar>>(
      WorkMeter*, std::vector<std::string>* dropped)>;
  // A vocabulary that is made when it is first needed.
  struct Vocabulary {
    std::once_flag prepared;
    std::shared_ptr<const GrammarVocabulary> made;  // constant once prepared
  };
  Bound Find(const std::string& key, const Compile& compile, Vocabulary& vocabulary,
             CompileClient& client, std::vector<std::string>* dropped = nullptr);
  // In a turn of the client's: what is known by now, or what is compiled.
  Result<std::shared_ptr<const Entry>> Make(const std::string& key, const Compile& compile,
                                            Vocabulary& vocabulary, WorkMeter& meter);

  const Tokenizer& tokenizer_;
  const size_t max_bytes_;
  MemoryBudget* const memory_;
  const SpokenTokens spoken_;
  CompileQueue queue_;
  Vocabulary plain_, with_spoken_;

  LruCache<std::string, std::shared_ptr<const Entry>> bound_;
};

}  // namespace lockstep
