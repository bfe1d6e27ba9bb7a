// The step of a generation under a grammar: Allow gives the sampler its mask, from the cache or by
// a walk, and Accept moves the automaton on by the bytes of the token that was chosen. Both may
// stop in the middle when a budget is spent. What is kept for that, a walk or the bytes read so
// far, is all that a matcher remembers besides its place.
#include "core/grammar/token_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <string>
#include <utility>

namespace lockstep {
namespace {

std::atomic<uint64_t> next_id{1};

}  // namespace

TokenGrammar::TokenGrammar(std::shared_ptr<const Grammar> grammar,
                           std::shared_ptr<const GrammarVocabulary> vocabulary,
                           MemoryBudget::Share memory)
    : grammar_(std::move(grammar)),
      vocabulary_(std::move(vocabulary)),
      memory_(std::move(memory)),
      id_(next_id++) {}

GrammarMatcher::GrammarMatcher(std::shared_ptr<const TokenGrammar> grammar)
    : grammar_(std::move(grammar)),
      automaton_(grammar_->grammar()),
      at_(automaton_.start()),
      start_work_(kFollowCost * automaton_.work()),
      memory_(grammar_->memory()) {}

Result<bool> GrammarMatcher::Allow(bool end_last, std::span<uint64_t> allowed, WorkBudget& budget) {
  const GrammarVocabulary& vocabulary = grammar_->vocabulary();
  assert(allowed.size() == vocabulary.words());
  const MaskKey key{grammar_->id(), automaton_.key(at_)};
  // Between two slices another session may have found the mask.
  std::shared_ptr<const TokenMask> mask = vocabulary.masks().Find(key);
  if (mask == nullptr) {
    if (!walk_) walk_ = vocabulary.Begin(automaton_, at_);
    const bool whole = vocabulary.Continue(*walk_, automaton_, budget);
    at_ = walk_->path.front();
    TRY_OK(memory_.Resize(automaton_.bytes()));
    if (!whole) return false;
    mask = std::make_shared<const TokenMask>(std::move(walk_->mask));
    vocabulary.masks().Insert(key, mask);
  }
  walk_.reset();
  if (mask->too_costly) {
    return Fail(ErrorKind::kInvalidArgument,
                "the grammar has too many ways to read the text so far; make it less ambiguous",
                "grammar");
  }
  std::ranges::copy(mask->allowed, allowed.begin());
  // Whether the text may end is not part of the mask: it also depends on what the request asked.
  bool any = mask->any;
  if (complete() && !(end_last && any)) {
    for (const int32_t token : vocabulary.end_tokens()) {
      allowed[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
      any = true;
    }
  }
  if (any) return true;
  if (at_ == GrammarAutomaton::kDead) {  // no text can lead there, only the beginning
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the grammar's root can begin in too many ways, more than {}; put what "
                            "its alternatives begin with in front of them, or give fewer",
                            GrammarAutomaton::kMaxHeads),
                "grammar");
  }
  return Fail(ErrorKind::kInvalidArgument,
              "the grammar cannot go on: no token of this model continues the text so far",
              "grammar");
}

void GrammarMatcher::Literal(size_t most, std::vector<int32_t>& tokens, WorkBudget& budget) {
  constexpr size_t kTokenBytes = 8;  // what few tokens of a literal have more of
  tokens.clear();
  std::string text;
  GrammarAutomaton::Config config = at_;
  while (text.size() < most * kTokenBytes && !budget.spent()) {
    const std::optional<uint8_t> byte = automaton_.only_byte(config);
    if (!byte) break;
    const uint64_t before = automaton_.work();
    config = automaton_.Next(config, *byte);
    budget.Spend(1 + kFollowCost * (automaton_.work() - before));
    if (config == GrammarAutomaton::kDead) break;
    text.push_back(static_cast<char>(*byte));
  }
  grammar_->vocabulary().Spell(text, tokens);
  tokens.resize(std::min(tokens.size(), most));
}

Result<bool> GrammarMatcher::Accept(std::string_view bytes, WorkBudget& budget) {
  if (read_ == 0) {  // only here is at_ all that must be kept
    if (automaton_.full()) automaton_.Forget({&at_, 1});
    reading_ = at_;
  }
  for (; read_ < bytes.size(); ++read_) {
    if (budget.spent()) {
      TRY_OK(memory_.Resize(automaton_.bytes()));
      return false;
    }
    const uint64_t before = automaton_.work();
    reading_ = automaton_.Next(reading_, static_cast<uint8_t>(bytes[read_]));
    budget.Spend(1 + kFollowCost * (automaton_.work() - before));
    if (reading_ == GrammarAutomaton::kDead) {
      read_ = 0;
      return Fail(ErrorKind::kInternal, "a token was chosen that the grammar does not allow");
    }
  }
  at_ = reading_;
  read_ = 0;
  TRY_OK(memory_.Resize(automaton_.bytes()));
  return true;
}

}  // namespace lockstep
