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
//
// A model with recurrent layers goes on only from where its states were kept: they are those after
// one position, and larger than the keys and values of hundreds. They have half of the memory.
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
#include "core/engine/block_archive.h"
#include "core/engine/prefix_archiver.h"
#include "core/engine/prefix_observer.h"
#include "core/kernels/aligned_buffer.h"
#include "core/transformer/kv_cache.h"
#include "core/transformer/model_config.h"

namespace lockstep {

class PrefixStore {
 public:
  static constexpr size_t kBlock = kKeyGroup;  // positions
  // States that would save fewer tokens of reading than this are not worth their room.
  static constexpr size_t kStateGain = 32;

  // Makes room for as many blocks, and states, as fit into max_bytes. Address space is reserved;
  // memory follows use. Errors are KvCache::Create's, and kInvalidArgument where not one fits.
  [[nodiscard]] static Result<std::unique_ptr<PrefixStore>> Create(const ModelConfig& config,
                                                                   size_t max_bytes,
                                                                   KvType kv_type = KvType::kF16);

  // The positions that `tokens` shares with what is stored, in whole blocks, whether or not there
  // are states to go on from.
  size_t Known(const std::string& scope, std::span<const int32_t> tokens);
  // Fills the cache, which holds the first kv.length() of `tokens`, further: up to the end of the
  // last whole block of `tokens` that is stored, or the last place of which there are states. The
  // number of positions that were added. `scope` separates those who must not learn of each
  // other's prompts.
  size_t Extend(const std::string& scope, std::span<const int32_t> tokens, KvCache& kv);
  // Stores the whole blocks of `tokens`, whose keys and values kv has, up to the first that is not
  // stored and of which a sliding window has moved on; and with_states those after the last token.
  // REQUIRES: at most kv.length() tokens, and with_states as many.
  void Insert(const std::string& scope, std::span<const int32_t> tokens, const KvCache& kv,
              bool with_states = false);

  // Hands the blocks that come from now on to the archive's writer, too, which must outlive the
  // store. REQUIRES: nothing is stored yet; the model has no states.
  void ArchiveBy(PrefixArchiver& archiver);
  // Tells the observer, which must outlive the store, of the whole blocks that come and go from now
  // on. `fingerprint` is as an archive's (RootKey). REQUIRES: nothing is stored yet.
  void TellOf(PrefixObserver& observer, const std::string& fingerprint);
  // Stores what an archive had of `tokens` from its block `begin` on. False where the blocks in
  // front of it are not stored any more, or not all find a place.
  bool Restore(const std::string& scope, std::span<const int32_t> tokens, size_t begin,
               std::span<const BlockPayload> blocks);

  // Whether the model has states, and at which distance in a long text they are worth keeping: so
  // that a text that fills the blocks takes half of the room for states.
  bool keeps_states() const { return state_floats_ != 0; }
  size_t state_interval() const;

  // What the blocks and states in use take, and what all of them may.
  size_t bytes() const {
    return used_ * block_bytes_ + states_used_ * state_floats_ * sizeof(float);
  }
  size_t capacity_bytes() const {
    return blocks_.size() * block_bytes_ + owners_.size() * state_floats_ * sizeof(float);
  }
  size_t block_bytes() const { return block_bytes_; }
  size_t scopes() const { return roots_.size(); }  // that are known; bounded by the blocks
  size_t max_blocks() const { return blocks_.size(); }

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
  static constexpr size_t kNone = ~size_t{0};
  // A block in a list from the most to the least recently used. A block is never more recently
  // used than the one before it in its text, so the end of the list has no children. States may be
  // kept of a place within a block: then it is a tail, whose key is filled up by kNoToken, and
  // which has no children.
  struct Block {
    uint64_t id = 0;  // never used twice
    Key key;
    size_t newer = 0, older = 0;  // indices of blocks_, or kNone
    size_t state = kNone;         // place of the states after its last token
    size_t parent = kNone;        // of a tail, the block before it
    size_t tails = 0;             // of which this one is the parent
    BlockKey name{};              // where there is an archive or an observer
    bool archived = false;        // it came from there, or is on its way to it
  };
  static constexpr int32_t kNoToken = -1;
  // Who has a slot of states: the block that they are kept for, or kNone; when they were last used.
  struct Owner {
    size_t block = kNone;
    uint64_t used = 0;
  };
  // Where a text can go on from: after `tokens` of it, `blocks` of its path and perhaps a tail.
  struct Place {
    size_t tokens = 0, blocks = 0, tail = kNone, state = kNone;
  };

  PrefixStore(KvCache kv, size_t blocks, size_t block_bytes, size_t states, size_t state_floats);
  // Where the texts of a scope begin.
  struct Root {
    uint64_t id;
    BlockKey name;  // as a block's
  };
  const Root& RootOf(const std::string& scope);
  void ForgetEmptyRoots();  // of scopes that have no block
  // Adds the blocks of `whole` that follow the path; `fill` copies the positions from `from` on
  // into a new one.
  template <class Fill>
  void Grow(const Root& root, std::vector<size_t>& path, std::span<const int32_t> whole,
            const Fill& fill);
  bool names_blocks() const { return archiver_ != nullptr || observer_ != nullptr; }
  // The blocks of the path from `begin` on are new.
  void TellStored(std::span<const size_t> path, size_t begin, const std::string& scope);
  // What the archive was not given of the path.
  void Archive(std::span<const size_t> path);
  // The stored blocks that `tokens` begins with, from the first on; they become the most recent.
  std::vector<size_t> Find(uint64_t root, std::span<const int32_t> tokens);
  // The last place of the path, or of a tail that goes on as `tokens` do, from which states are
  // kept.
  Place LastState(const std::vector<size_t>& path, std::span<const int32_t> tokens) const;
  size_t FindTail(size_t parent, std::span<const int32_t> tokens) const;  // kNone if there is none
  // Stores the states of kv after the last of `tokens`, whose whole blocks are the path.
  void KeepStates(std::vector<size_t>& path, std::span<const int32_t> tokens, const KvCache& kv);
  static Key TailKey(uint64_t parent, std::span<const int32_t> tokens);
  size_t NewBlock(const Key& key);  // empty, in no list; kNone without memory
  void MakeNewest(std::span<const size_t> path);
  float* StateAt(size_t i) { return states_.data() + i * state_floats_; }
  size_t TakeState();  // a new one, or the least recently used
  void DropState(size_t block);
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
  std::unordered_map<std::string, Root> roots_;
  PrefixArchiver* archiver_ = nullptr;
  PrefixObserver* observer_ = nullptr;
  std::string fingerprint_;  // that names begin with
  const size_t state_floats_;
  AlignedBuffer<float> states_;  // [owners_.size()][state_floats_]
  std::vector<Owner> owners_;
  std::atomic<size_t> states_used_{0};  // owners_ from here on were never used
  uint64_t uses_ = 0;
};

}  // namespace lockstep
