// Which tokens may come next is asked before every token, of 30,000 to 250,000 of them. Two things
// make it cheap, both known from llguidance (its toktrie) and XGrammar (Dong et al., 2024).
//
// Tokens that begin alike are tried together: their bytes form a trie, which is walked depth first
// beside the automaton. It is stored in the order of the walk, each node with the number of the
// node behind its last descendant, so that a refused byte skips all tokens that begin that way. Of
// the tokens "a", "ab" and "b":
//
//   node    0 'a'    1 'b'    2 'b'
//   end     2        2        3
//   token   "a"      "ab"     "b"       where 'a' is refused, the walk goes from 0 to 2
//
// And a mask once found is remembered, for every session under the same grammar: the cache is keyed
// by the grammar and by the configuration's key, which is equal wherever the automaton would go on
// alike. Inside of a JSON string nearly every token finds the mask of the one before.
//
// A walk that meets configurations without end, as hostile grammars make it, is refused; and since
// even an allowed one may take seconds, it goes on in slices.
#include "core/grammar/token_mask.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace lockstep {
namespace {

// The ways to read a text that one walk may meet, each configuration counted once. A text in a JSON
// string has some hundred in all. Whether a walk meets more does not depend on what the automaton
// knows already, as its work does: the refusal must not depend on it either.
constexpr size_t kMaxWalkHeads = size_t{1} << 20;

}  // namespace

std::shared_ptr<const TokenMask> MaskCache::Find(const MaskKey& key) {
  return masks_.Find(key).value_or(nullptr);
}

void MaskCache::Insert(const MaskKey& key, std::shared_ptr<const TokenMask> mask) {
  constexpr size_t kOverhead = sizeof(TokenMask) + sizeof(MaskKey) + sizeof(mask) + 64;
  const size_t bytes = mask->allowed.size() * sizeof(uint64_t) + kOverhead;
  masks_.Insert(key, std::move(mask), bytes);
}

std::shared_ptr<const GrammarVocabulary> GrammarVocabulary::Create(
    const Tokenizer& tokenizer, std::span<const std::string_view> spoken) {
  std::vector<std::string_view> tokens(tokenizer.vocab_size());
  std::vector<int32_t> end_tokens;
  std::unordered_map<int32_t, std::string> spoken_tokens;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokenizer.IsEndOfGeneration(id)) end_tokens.push_back(id);
    if (!tokenizer.IsControl(id)) {
      tokens[i] = tokenizer.TokenBytes(id);
    } else if (std::ranges::count(spoken, tokenizer.TokenText(id)) > 0) {
      tokens[i] = tokenizer.TokenText(id);
      spoken_tokens.emplace(id, tokens[i]);
    }
  }
  auto vocabulary = std::make_shared<GrammarVocabulary>(tokens, std::move(end_tokens));
  vocabulary->spoken_ = std::move(spoken_tokens);
  return vocabulary;
}

GrammarVocabulary::GrammarVocabulary(std::span<const std::string_view> tokens,
                                     std::vector<int32_t> end_tokens, size_t mask_bytes)
    : size_(tokens.size()),
      end_tokens_(std::move(end_tokens)),
      same_(tokens.size(), -1),
      masks_(mask_bytes) {
  std::vector<int32_t> order(size_);
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(
      order, [&](int32_t id) { return tokens[id].empty() || tokens[id].size() > Grammar::kReach; });
  std::ranges::sort(order, [&](int32_t a, int32_t b) {
    return std::pair(tokens[a], a) < std::pair(tokens[b], b);
  });
  // Sorted, each token begins with what it has in common with the one before it; the nodes behind
  // that are complete.
  std::vector<uint32_t> open;  // the nodes of the last token's bytes
  std::string_view last;
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string_view bytes = tokens[order[i]];
    if (bytes == last) {
      same_[order[i - 1]] = order[i];
      continue;
    }
    const auto common = static_cast<size_t>(std::ranges::mismatch(bytes, last).in1 - bytes.begin());
    for (; open.size() > common; open.pop_back()) {
      nodes_[open.back()].end = static_cast<uint32_t>(nodes_.size());
    }
    for (size_t k = common; k < bytes.size(); ++k) {
      open.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, -1, static_cast<uint16_t>(k + 1), static_cast<uint8_t>(bytes[k])});
    }
    nodes_.back().token = order[i];
    last = bytes;
  }
  for (const uint32_t node : open) nodes_[node].end = static_cast<uint32_t>(nodes_.size());
}

void GrammarVocabulary::Spell(std::string_view text, std::vector<int32_t>& tokens) const {
  while (!text.empty()) {
    int32_t longest = -1;
    size_t bytes = 0, depth = 0, node = 0, end = nodes_.size();
    for (; depth < text.size(); ++depth) {
      while (node < end && nodes_[node].byte != static_cast<uint8_t>(text[depth])) {
        node = nodes_[node].end;
      }
      if (node >= end) break;
      if (nodes_[node].token >= 0) {
        longest = nodes_[node].token;
        bytes = depth + 1;
      }
      end = nodes_[node].end;
      ++node;
    }
    if (longest < 0 || (depth == text.size() && node < end)) return;
    tokens.push_back(longest);
    text.remove_prefix(bytes);
  }
}

MaskWalk GrammarVocabulary::Begin(GrammarAutomaton& automaton,
                                  GrammarAutomaton::Config from) const {
  MaskWalk walk;
  walk.mask.allowed.resize(words());
  walk.path.resize(Grammar::kReach + 1);
  walk.path.front() = from;
  automaton.StartCounting();
  return walk;
}

bool GrammarVocabulary::Continue(MaskWalk& walk, GrammarAutomaton& automaton,
                                 WorkBudget& budget) const {
  GrammarAutomaton::Config* const at = walk.path.data();  // [depth]
  uint64_t done = automaton.work();                       // of it, what the budget has been told of
  const auto spend = [&] {
    budget.Spend(1 + kFollowCost * (automaton.work() - done));
    done = automaton.work();
  };
  for (; walk.node < nodes_.size(); spend()) {
    if (budget.spent()) return false;
    const Node& node = nodes_[walk.node];
    const GrammarAutomaton::Config config = automaton.Next(at[node.depth - 1], node.byte);
    if (automaton.CountsFirst(config)) walk.heads += 1 + automaton.heads(config);
    if (walk.heads > kMaxWalkHeads) {
      walk.mask = {.allowed = {}, .any = false, .too_costly = true};
      return true;
    }
    if (config == GrammarAutomaton::kDead) {
      walk.node = node.end;
      continue;
    }
    at[node.depth] = config;
    if (automaton.full()) automaton.Forget({at, size_t{node.depth} + 1});
    for (int32_t token = node.token; token >= 0; token = same_[token]) {
      walk.mask.allowed[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
      walk.mask.any = true;
    }
    ++walk.node;
  }
  return true;
}

}  // namespace lockstep
