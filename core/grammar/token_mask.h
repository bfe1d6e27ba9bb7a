// A model's vocabulary as grammars need it: a trie of the tokens' bytes, one walk over which finds
// the tokens that may come next, and a cache of the masks found so far. Made once for each model;
// immutable but for that cache, and safe to share between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/lru_cache.h"
#include "core/grammar/automaton.h"
#include "core/grammar/work_budget.h"
#include "core/tokenizer/tokenizer.h"

namespace lockstep {

struct TokenMask {
  std::vector<uint64_t> allowed;  // [(vocab + 63) / 64] bit i % 64 of word i / 64: token i
  bool any = false;               // is one allowed?
  bool too_costly = false;        // the grammar has too many ways to read what may come next
};

// A walk over the trie that is under way.
struct MaskWalk {
  TokenMask mask;                              // so far
  std::vector<GrammarAutomaton::Config> path;  // [depth] after that many bytes; the first: from
  size_t node = 0;                             // to be visited next
  size_t heads = 0;                            // of the configurations met
};

// What a mask depends on besides the vocabulary.
struct MaskKey {
  struct Hash {
    size_t operator()(const MaskKey& key) const { return key.config.a ^ key.grammar; }
  };
  uint64_t grammar;
  ConfigKey config;
  bool operator==(const MaskKey&) const = default;
};

// The masks used last, up to a number of bytes. Thread-safe.
class MaskCache {
 public:
  explicit MaskCache(size_t max_bytes) : masks_(SIZE_MAX, max_bytes) {}
  std::shared_ptr<const TokenMask> Find(const MaskKey& key);  // null if there is none
  void Insert(const MaskKey& key, std::shared_ptr<const TokenMask> mask);

 private:
  LruCache<MaskKey, std::shared_ptr<const TokenMask>, MaskKey::Hash> masks_;
};

class GrammarVocabulary {
 public:
  static constexpr size_t kMaskBytes = size_t{32} << 20;

  // Control tokens are left out, but for those with one of the texts `spoken`, which stand for it;
  // and so are tokens of more than Grammar::kReach bytes.
  static std::shared_ptr<const GrammarVocabulary> Create(
      const Tokenizer& tokenizer, std::span<const std::string_view> spoken = {});
  // `tokens`: the bytes of each, empty for those that no grammar allows.
  GrammarVocabulary(std::span<const std::string_view> tokens, std::vector<int32_t> end_tokens,
                    size_t mask_bytes = kMaskBytes);

  size_t size() const { return size_; }
  size_t words() const { return (size_ + 63) / 64; }                      // of a mask
  const std::vector<int32_t>& end_tokens() const { return end_tokens_; }  // end a generation
  // The text of a control token that is spoken, else empty.
  std::string_view Spoken(int32_t token) const {
    const auto found = spoken_.find(token);
    return found == spoken_.end() ? std::string_view() : found->second;
  }
  MaskCache& masks() const { return masks_; }

  // Appends the tokens that spell a text, the longest first, as models mostly write it; without
  // the end that a longer token may spell together with what follows.
  void Spell(std::string_view text, std::vector<int32_t>& tokens) const;

  // A walk that finds the tokens whose bytes the automaton takes after `from`. The mask is a pure
  // function of the grammar and the configuration, in however many slices it is found.
  MaskWalk Begin(GrammarAutomaton& automaton, GrammarAutomaton::Config from) const;
  // Goes on with a walk until it is complete or the budget is spent; true if it is complete.
  // Nothing else may be asked of the automaton meanwhile. Of its configurations only those of the
  // walk outlive a Forget.
  bool Continue(MaskWalk& walk, GrammarAutomaton& automaton, WorkBudget& budget) const;

 private:
  // The trie's nodes in the order of their bytes, a node's children right behind it.
  struct Node {
    uint32_t end;   // the node behind its last descendant
    int32_t token;  // whose bytes end here, -1: none
    uint16_t depth;
    uint8_t byte;
  };

  size_t size_;
  std::vector<int32_t> end_tokens_;
  std::unordered_map<int32_t, std::string> spoken_;
  std::vector<Node> nodes_;
  std::vector<int32_t> same_;  // [vocab] the next token with the same bytes, -1: none
  mutable MaskCache masks_;
};

}  // namespace lockstep
