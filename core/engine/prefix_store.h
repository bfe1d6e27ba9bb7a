// The keys and values of prompts and answers that were computed before, for requests that begin in
// the same way. Kept in blocks of 16 positions that form a tree: a block belongs to its 16 tokens
// and to all that come before them, so one copy of a shared system prompt serves every chat. What
// is taken from here has the very bits that computing it again would give (contract R1). Bounded:
// the blocks that were used least recently make room for new ones. Not thread-safe, except bytes().
//
// Block-wise reuse as in PagedAttention (Kwon et al., 2023) and RadixAttention (Zheng et al.,
// 2023); but blocks are copied to and from the sessions, whose own caches stay contiguous: a copy
// takes less than a hundredth of the time that computing does. Blocks have all layers, those with a
// sliding window too, as any block can be the last one that a prompt shares.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/transformer/kv_cache.h"
#include "core/transformer/model_config.h"

namespace lockstep {

class PrefixStore {
 public:
  static constexpr size_t kBlock = kKeyGroup;  // positions

  // As many blocks as fit into max_bytes. Address space is reserved; memory follows use. Errors are
  // KvCache::Create's, and kInvalidArgument where not one block fits.
  [[nodiscard]] static Result<std::unique_ptr<PrefixStore>> Create(const ModelConfig& config,
                                                                   size_t max_bytes,
                                                                   KvType kv_type = KvType::kF16);

  // Fills the cache, which holds the first kv.length() of `tokens`, further: up to the end of the
  // last whole block of `tokens` that is stored. The number of positions that were added. `scope`
  // separates those who must not learn of each other's prompts.
  size_t Extend(const std::string& scope, std::span<const int32_t> tokens, KvCache& kv);
  // Stores the whole blocks of `tokens`, whose keys and values kv has, up to the first that is not
  // stored and of which a sliding window has moved on. REQUIRES: at most kv.length() tokens.
  void Insert(const std::string& scope, std::span<const int32_t> tokens, const KvCache& kv);

  size_t bytes() const { return used_ * block_bytes_; }  // of the blocks in use
  size_t capacity_bytes() const { return blocks_.size() * block_bytes_; }
  size_t block_bytes() const { return block_bytes_; }

 private:
  using Tokens = std::array<int32_t, kBlock>;
  struct Key {
    uint64_t parent;  // the id of the block before, or of the scope
    Tokens tokens;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  // A block in a list from the most to the least recently used. A block is never more recently
  // used than the one before it in its text, so the end of the list has no children.
  struct Block {
    uint64_t id = 0;  // never used twice
    Key key;
    size_t newer = 0, older = 0;  // indices of blocks_, or kNone
  };
  static constexpr size_t kNone = ~size_t{0};

  PrefixStore(KvCache kv, size_t blocks, size_t block_bytes);
  uint64_t RootOf(const std::string& scope);
  // The stored blocks that `tokens` begins with, from the first on; they become the most recent.
  std::vector<size_t> Find(uint64_t root, std::span<const int32_t> tokens);
  size_t TakeBlock();  // a new one, or the least recently used; in no list
  void Unlink(size_t block);
  void PushNewest(size_t block);

  KvCache kv_;  // block i has the positions from i * kBlock on
  const size_t block_bytes_;
  std::vector<Block> blocks_;
  std::atomic<size_t> used_{0};  // blocks_ from here on were never used
  size_t newest_ = kNone, oldest_ = kNone;
  uint64_t next_id_ = 1;
  std::unordered_map<Key, size_t, KeyHash> index_;
  std::unordered_map<std::string, uint64_t> roots_;
};

}  // namespace lockstep
