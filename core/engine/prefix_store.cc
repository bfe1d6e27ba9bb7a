// A radix tree of texts whose every edge is one block of kBlock tokens, kept as a hash table from
// (parent, the block's tokens) to the block. With blocks of two tokens, after "a b c d" and
// "a b e f" of one scope with the root 1:
//
//   (1, a b) -> block 0, id 2
//   (2, c d) -> block 1, id 3
//   (2, e f) -> block 2, id 4
//
// Ids are never used twice, so a block whose parent made room for others, and was computed again,
// can never be found by way of the new parent. That cannot even happen while blocks go in the order
// of the list: a path is always moved to its front from the last block to the first, so a parent is
// newer than its children, and the oldest block is a leaf. This is RadixAttention's eviction of the
// least recently used leaf, without looking for leaves.
#include "core/engine/prefix_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

namespace lockstep {

size_t PrefixStore::KeyHash::operator()(const Key& key) const {
  static_assert(std::has_unique_object_representations_v<Key>);
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(&key), sizeof key});
}

Result<std::unique_ptr<PrefixStore>> PrefixStore::Create(const ModelConfig& config,
                                                         size_t max_bytes, KvType kv_type) {
  const size_t block_bytes = kBlock * KvCache::BytesPerPosition(config, kv_type);
  const size_t blocks = max_bytes / block_bytes;
  if (blocks == 0) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("prefix cache: {} bytes are less than one block of {} positions, which "
                            "has {} bytes; give it more, or 0 to do without",
                            max_bytes, kBlock, block_bytes));
  }
  TRY(KvCache kv, KvCache::Create(config, blocks * kBlock, kv_type));
  TRY_OK(kv.Append(blocks * kBlock));
  return std::unique_ptr<PrefixStore>(new PrefixStore(std::move(kv), blocks, block_bytes));
}

PrefixStore::PrefixStore(KvCache kv, size_t blocks, size_t block_bytes)
    : kv_(std::move(kv)), block_bytes_(block_bytes), blocks_(blocks) {
  index_.reserve(blocks);
}

size_t PrefixStore::Extend(const std::string& scope, std::span<const int32_t> tokens, KvCache& kv) {
  const size_t begin = kv.length();
  const std::vector<size_t> found = Find(RootOf(scope), tokens);
  const size_t end = found.size() * kBlock;
  if (end <= begin || !kv.AppendForCopy(end - begin)) return 0;
  for (size_t i = begin / kBlock; i < found.size(); ++i) {
    kv.CopyFrom(kv_, found[i] * kBlock, i * kBlock, kBlock);
  }
  return end - begin;
}

void PrefixStore::Insert(const std::string& scope, std::span<const int32_t> tokens,
                         const KvCache& kv) {
  assert(tokens.size() <= kv.length());
  // A text of more blocks than there are would push out its own beginning.
  tokens = tokens.first(std::min(tokens.size() / kBlock, blocks_.size()) * kBlock);
  const uint64_t root = RootOf(scope);
  std::vector<size_t> path = Find(root, tokens);
  const size_t stored = path.size();
  path.reserve(tokens.size() / kBlock);
  while (path.size() * kBlock < tokens.size()) {
    // A window has moved on from a block that was never stored, or was pushed out since.
    if (path.size() * kBlock < kv.kept_from()) break;
    Key key{path.empty() ? root : blocks_[path.back()].id, {}};
    std::copy_n(tokens.begin() + path.size() * kBlock, kBlock, key.tokens.begin());
    // First what may fail for want of memory: then the text is stored up to here.
    decltype(index_)::iterator entry;
    try {
      entry = index_.emplace(key, kNone).first;
    } catch (const std::bad_alloc&) {
      break;
    }
    const size_t block = entry->second = TakeBlock();
    kv_.CopyFrom(kv, path.size() * kBlock, block * kBlock, kBlock);
    blocks_[block].id = next_id_++;
    blocks_[block].key = key;
    path.push_back(block);
  }
  if (path.size() == stored) return;
  // The old part is in front of the new blocks already, and the whole path is to be in order.
  for (size_t i = 0; i < stored; ++i) Unlink(path[i]);
  for (size_t i = path.size(); i-- > 0;) PushNewest(path[i]);
}

uint64_t PrefixStore::RootOf(const std::string& scope) {
  const auto [root, is_new] = roots_.try_emplace(scope, next_id_);
  if (is_new) ++next_id_;
  return root->second;
}

std::vector<size_t> PrefixStore::Find(uint64_t root, std::span<const int32_t> tokens) {
  std::vector<size_t> path;
  Key key{root, {}};
  for (; tokens.size() >= kBlock; tokens = tokens.subspan(kBlock)) {
    std::copy_n(tokens.begin(), kBlock, key.tokens.begin());
    const auto found = index_.find(key);
    if (found == index_.end()) break;
    path.push_back(found->second);
    key.parent = blocks_[found->second].id;
  }
  for (size_t i = path.size(); i-- > 0;) {
    Unlink(path[i]);
    PushNewest(path[i]);
  }
  return path;
}

size_t PrefixStore::TakeBlock() {
  if (used_ < blocks_.size()) return used_++;
  const size_t block = oldest_;
  Unlink(block);
  index_.erase(blocks_[block].key);
  return block;
}

void PrefixStore::Unlink(size_t block) {
  const auto [newer, older] = std::pair(blocks_[block].newer, blocks_[block].older);
  (newer == kNone ? newest_ : blocks_[newer].older) = older;
  (older == kNone ? oldest_ : blocks_[older].newer) = newer;
}

void PrefixStore::PushNewest(size_t block) {
  blocks_[block].newer = kNone;
  blocks_[block].older = newest_;
  (newest_ == kNone ? oldest_ : blocks_[newest_].newer) = block;
  newest_ = block;
}

}  // namespace lockstep
