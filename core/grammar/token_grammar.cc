#include "core/grammar/token_grammar.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <utility>

namespace lockstep {
namespace {

std::atomic<uint64_t> next_id{1};

}  // namespace

TokenGrammar::TokenGrammar(std::shared_ptr<const Grammar> grammar,
                           std::shared_ptr<const GrammarVocabulary> vocabulary)
    : grammar_(std::move(grammar)), vocabulary_(std::move(vocabulary)), id_(next_id++) {}

GrammarMatcher::GrammarMatcher(std::shared_ptr<const TokenGrammar> grammar)
    : grammar_(std::move(grammar)), automaton_(grammar_->grammar()), at_(automaton_.start()) {}

Status GrammarMatcher::Allow(bool end_last, std::span<uint64_t> allowed) {
  const GrammarVocabulary& vocabulary = grammar_->vocabulary();
  assert(allowed.size() == vocabulary.words());
  const MaskKey key{grammar_->id(), automaton_.key(at_)};
  std::shared_ptr<const TokenMask> mask = vocabulary.masks().Find(key);
  if (mask == nullptr) {
    path_.assign(1, at_);
    mask = std::make_shared<const TokenMask>(vocabulary.Walk(automaton_, &path_));
    at_ = path_.front();
    vocabulary.masks().Insert(key, mask);
  }
  if (mask->too_costly) {
    return Fail(ErrorKind::kInvalidArgument,
                "the grammar has too many ways to read the text so far; make it less ambiguous",
                "grammar");
  }
  std::ranges::copy(mask->allowed, allowed.begin());
  bool any = mask->any;
  if (complete() && !(end_last && any)) {
    for (const int32_t token : vocabulary.end_tokens()) {
      allowed[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
      any = true;
    }
  }
  if (any) return {};
  return Fail(ErrorKind::kInvalidArgument,
              "the grammar cannot go on: no token of this model continues the text so far",
              "grammar");
}

bool GrammarMatcher::Accept(std::string_view bytes) {
  if (automaton_.full()) automaton_.Forget({&at_, 1});
  GrammarAutomaton::Config config = at_;
  for (const char byte : bytes) {
    config = automaton_.Next(config, static_cast<uint8_t>(byte));
    if (config == GrammarAutomaton::kDead) return false;
  }
  at_ = config;
  return true;
}

}  // namespace lockstep
