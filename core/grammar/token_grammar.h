// A grammar bound to a model's vocabulary, and the place that one text has reached in it. The
// tokens allowed next are a pure function of the grammar and the tokens so far.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/memory_budget.h"
#include "core/base/status.h"
#include "core/grammar/automaton.h"
#include "core/grammar/grammar.h"
#include "core/grammar/token_mask.h"
#include "core/grammar/work_budget.h"

namespace lockstep {

// Immutable, shared between requests and threads.
class TokenGrammar {
 public:
  // `memory` is what the grammar takes; its matchers take theirs from the same budget.
  TokenGrammar(std::shared_ptr<const Grammar> grammar,
               std::shared_ptr<const GrammarVocabulary> vocabulary,
               MemoryBudget::Share memory = {});

  const Grammar& grammar() const { return *grammar_; }
  const GrammarVocabulary& vocabulary() const { return *vocabulary_; }
  MemoryBudget* memory() const { return memory_.budget(); }
  uint64_t id() const { return id_; }  // no other grammar of this process has it

 private:
  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const GrammarVocabulary> vocabulary_;
  MemoryBudget::Share memory_;
  uint64_t id_;
};

// Not thread-safe: a session's own.
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const TokenGrammar> grammar);

  // Both return false where the budget was spent first: then the same call is to be made again, and
  // no other, until it returns true. Both fail where the places that the text may have reached take
  // more memory than there is for requests.

  // The tokens that may come next. Those that end a generation are among them where the text may
  // end here; if `end_last`, only where nothing else is allowed. kInvalidArgument if no token is
  // left, or if the grammar has too many ways to read the text.
  [[nodiscard]] Result<bool> Allow(bool end_last,
                                   std::span<uint64_t> allowed /* [vocabulary.words()] */,
                                   WorkBudget& budget);

  // Goes on by the bytes of a token. kInternal, and stays where it is, if the grammar does not
  // allow them.
  [[nodiscard]] Result<bool> Accept(std::string_view bytes, WorkBudget& budget);

  // The tokens that most likely spell what must follow, as far as the grammar leaves no choice; at
  // most so many, and as far as the budget goes. REQUIRES: Allow has returned true.
  void Literal(size_t most, std::vector<int32_t>& tokens, WorkBudget& budget);

  // Allow and Accept without a bound on their work.
  [[nodiscard]] Result<bool> Allow(bool end_last, std::span<uint64_t> allowed) {
    WorkBudget unbounded;
    return Allow(end_last, allowed, unbounded);
  }
  [[nodiscard]] Result<bool> Accept(std::string_view bytes) {
    WorkBudget unbounded;
    return Accept(bytes, unbounded);
  }

  uint64_t start_work() const { return start_work_; }         // of the constructor, for a budget
  bool complete() const { return automaton_.complete(at_); }  // may the text end here?
  bool must_end() const { return complete() && automaton_.heads(at_) == 0; }

 private:
  std::shared_ptr<const TokenGrammar> grammar_;
  GrammarAutomaton automaton_;
  GrammarAutomaton::Config at_;
  uint64_t start_work_;
  MemoryBudget::Share memory_;    // of the automaton
  std::optional<MaskWalk> walk_;  // from at_, in the middle of Allow
  // In the middle of Accept: the bytes read so far, and where they lead.
  size_t read_ = 0;
  GrammarAutomaton::Config reading_ = GrammarAutomaton::kDead;
};

}  // namespace lockstep
