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
#include <unordered_set>
#include <utility>

#include "core/engine/block_format.h"

namespace lockstep {
namespace {

// Reading so few tokens again takes less than what their states would push out.
constexpr size_t kMinInterval = 256;
// So many scopes are known before those without a block are looked for.
constexpr size_t kManyRoots = 1024;

}  // namespace

size_t PrefixStore::KeyHash::operator()(const Key& key) const {
  static_assert(std::has_unique_object_representations_v<Key>);
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(&key), sizeof key});
}

Result<std::unique_ptr<PrefixStore>> PrefixStore::Create(const ModelConfig& config,
                                                         size_t max_bytes, KvType kv_type) {
  const size_t block_bytes = kBlock * KvCache::BytesPerPosition(config, kv_type);
  const size_t state_bytes = KvCache::StateBytes(config);
  const size_t states = state_bytes == 0 ? 0 : std::max<size_t>(1, max_bytes / 2 / state_bytes);
  const size_t least = block_bytes + (states != 0 ? state_bytes : 0);
  if (max_bytes < least) {
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("prefix cache: {} bytes are less than one block of {} positions{}, "
                    "which has {} bytes; give it more, or 0 to do without",
                    max_bytes, kBlock, states != 0 ? " with the states after it" : "", least));
  }
  const size_t blocks = (max_bytes - states * state_bytes) / block_bytes;
  TRY(KvCache kv, KvCache::Create(config, blocks * kBlock, kv_type));
  TRY_OK(kv.Append(blocks * kBlock));
  return std::unique_ptr<PrefixStore>(
      new PrefixStore(std::move(kv), blocks, block_bytes, states, state_bytes / sizeof(float)));
}

PrefixStore::PrefixStore(KvCache kv, size_t blocks, size_t block_bytes, size_t states,
                         size_t state_floats)
    : kv_(std::move(kv)),
      block_bytes_(block_bytes),
      blocks_(blocks),
      state_floats_(state_floats),
      states_(states * state_floats),
      owners_(states) {
  index_.reserve(blocks);
}

size_t PrefixStore::state_interval() const {
  const size_t blocks = 2 * blocks_.size() / std::max<size_t>(1, owners_.size());
  return kBlock * std::max(blocks, kMinInterval / kBlock);
}

size_t PrefixStore::Known(const std::string& scope, std::span<const int32_t> tokens) {
  return Find(RootOf(scope).id, tokens).size() * kBlock;
}

size_t PrefixStore::Extend(const std::string& scope, std::span<const int32_t> tokens, KvCache& kv) {
  const size_t begin = kv.length();
  std::vector<size_t> found = Find(RootOf(scope).id, tokens);
  Place place{found.size() * kBlock, found.size(), kNone, kNone};
  if (keeps_states()) place = LastState(found, tokens);
  if (place.tokens <= begin || !kv.AppendForCopy(place.tokens - begin)) return 0;
  found.resize(place.blocks);
  if (place.tail != kNone) found.push_back(place.tail);
  for (size_t i = begin / kBlock; i < found.size(); ++i) {
    kv.CopyFrom(kv_, found[i] * kBlock, i * kBlock, std::min(kBlock, place.tokens - i * kBlock));
  }
  if (place.state != kNone) {
    owners_[place.state].used = ++uses_;
    kv.SetStates({StateAt(place.state), state_floats_});
    MakeNewest(found);
  }
  return place.tokens - begin;
}

void PrefixStore::Insert(const std::string& scope, std::span<const int32_t> tokens,
                         const KvCache& kv, bool with_states) {
  assert(tokens.size() <= kv.length());
  // A text of more blocks than there are would push out its own beginning.
  const auto whole = tokens.first(std::min(tokens.size() / kBlock, blocks_.size()) * kBlock);
  const Root& root = RootOf(scope);
  std::vector<size_t> path = Find(root.id, whole);
  // A window may have moved on from a block that was never stored, or was pushed out since.
  if (path.size() * kBlock >= kv.kept_from()) {
    const size_t known = path.size();
    Grow(root, path, whole,
         [&](size_t block, size_t from) { kv_.CopyFrom(kv, from, block * kBlock, kBlock); });
    if (observer_ != nullptr) TellStored(path, known, scope);
  }
  if (archiver_ != nullptr) Archive(path);
  if (with_states && keeps_states() && path.size() == tokens.size() / kBlock) {
    KeepStates(path, tokens, kv);
  }
}

bool PrefixStore::Restore(const std::string& scope, std::span<const int32_t> tokens, size_t begin,
                          std::span<const BlockPayload> blocks) {
  const size_t end = std::min(begin + blocks.size(), blocks_.size());
  const auto whole = tokens.first(end * kBlock);
  const Root& root = RootOf(scope);
  std::vector<size_t> path = Find(root.id, whole);
  if (path.size() < begin) return false;
  const size_t known = path.size();
  Grow(root, path, whole, [&](size_t block, size_t from) {
    kv_.WriteGroup(block * kBlock, blocks[from / kBlock - begin]);
    blocks_[block].archived = true;
  });
  if (observer_ != nullptr) TellStored(path, known, scope);
  return path.size() == begin + blocks.size();
}

template <class Fill>
void PrefixStore::Grow(const Root& root, std::vector<size_t>& path, std::span<const int32_t> whole,
                       const Fill& fill) {
  const size_t stored = path.size();
  path.reserve(whole.size() / kBlock + 1);
  while (path.size() * kBlock < whole.size()) {
    const auto tokens = whole.subspan(path.size() * kBlock, kBlock);
    Key key{path.empty() ? root.id : blocks_[path.back()].id, {}};
    std::ranges::copy(tokens, key.tokens.begin());
    BlockKey name{};
    // Without memory, the text is stored up to here. Nothing may throw: the new blocks can be found
    // already, and are not in the list yet.
    try {
      if (names_blocks())
        name = NextKey(path.empty() ? root.name : blocks_[path.back()].name, tokens);
    } catch (const std::bad_alloc&) {
      break;
    }
    const size_t block = NewBlock(key);
    if (block == kNone) break;
    blocks_[block].name = name;
    fill(block, path.size() * kBlock);
    path.push_back(block);
  }
  if (path.size() != stored) {
    // The old part is in front of the new blocks already, and the whole path is to be in order.
    for (size_t i = 0; i < stored; ++i) Unlink(path[i]);
    for (size_t i = path.size(); i-- > 0;) PushNewest(path[i]);
  }
}

// A block that finds no room is tried again when its text goes on. Those behind it would be of no
// use without it.
void PrefixStore::Archive(std::span<const size_t> path) {
  for (const size_t i : path) {
    if (blocks_[i].archived) continue;
    if (!archiver_->HasRoom()) return;
    BlockPayload bytes(kv_.group_bytes());
    kv_.ReadGroup(i * kBlock, bytes);
    archiver_->Write(blocks_[i].name, std::move(bytes));
    blocks_[i].archived = true;
  }
}

void PrefixStore::ArchiveBy(PrefixArchiver& archiver) {
  assert(used_ == 0 && roots_.empty() && !keeps_states());
  archiver_ = &archiver;
  fingerprint_ = archiver.fingerprint();
}

void PrefixStore::TellOf(PrefixObserver& observer, const std::string& fingerprint) {
  assert(used_ == 0 && roots_.empty() && (archiver_ == nullptr || fingerprint_ == fingerprint));
  observer_ = &observer;
  fingerprint_ = fingerprint;
}

void PrefixStore::TellStored(std::span<const size_t> path, size_t begin, const std::string& scope) {
  for (size_t i = begin; i < path.size(); ++i) {
    const Block& block = blocks_[path[i]];
    observer_->OnStored(
        {block.name, i == 0 ? nullptr : &blocks_[path[i - 1]].name, block.key.tokens, scope});
  }
}

size_t PrefixStore::NewBlock(const Key& key) {
  decltype(index_)::iterator entry;
  try {
    entry = index_.emplace(key, kNone).first;
  } catch (const std::bad_alloc&) {
    return kNone;
  }
  const size_t block = entry->second = TakeBlock();
  blocks_[block] = {};
  blocks_[block].id = next_id_++;
  blocks_[block].key = key;
  return block;
}

void PrefixStore::KeepStates(std::vector<size_t>& path, std::span<const int32_t> tokens,
                             const KvCache& kv) {
  if (path.empty()) return;
  const auto rest = tokens.subspan(path.size() * kBlock);
  if (!rest.empty()) {
    const size_t parent = path.back();
    const auto known = index_.find(TailKey(blocks_[parent].id, rest));
    size_t tail = known != index_.end() ? known->second : kNone;
    if (tail != kNone) {
      Unlink(tail);
    } else {
      if (path.size() == blocks_.size()) return;
      tail = NewBlock(TailKey(blocks_[parent].id, rest));
      if (tail == kNone) return;
      kv_.CopyFrom(kv, path.size() * kBlock, tail * kBlock, rest.size());
      blocks_[tail].parent = parent;
      ++blocks_[parent].tails;
    }
    PushNewest(tail);
    path.push_back(tail);
    MakeNewest(path);
  }
  size_t& state = blocks_[path.back()].state;
  if (state == kNone) {
    const size_t taken = TakeState();
    state = taken;
    owners_[taken].block = path.back();
    std::ranges::copy(kv.states(), StateAt(taken));
  }
  owners_[state].used = ++uses_;
}

PrefixStore::Place PrefixStore::LastState(const std::vector<size_t>& path,
                                          std::span<const int32_t> tokens) const {
  for (size_t n = path.size(); n > 0; --n) {
    const Block& block = blocks_[path[n - 1]];
    const size_t tail = block.tails > 0 ? FindTail(path[n - 1], tokens.subspan(n * kBlock)) : kNone;
    if (tail != kNone) {
      const auto& end = blocks_[tail].key.tokens;
      const auto length = static_cast<size_t>(std::ranges::find(end, kNoToken) - end.begin());
      return {n * kBlock + length, n, tail, blocks_[tail].state};
    }
    if (block.state != kNone) return {n * kBlock, n, kNone, block.state};
  }
  return {};
}

size_t PrefixStore::FindTail(size_t parent, std::span<const int32_t> tokens) const {
  for (size_t n = std::min(tokens.size(), kBlock - 1); n > 0; --n) {
    const auto found = index_.find(TailKey(blocks_[parent].id, tokens.first(n)));
    if (found != index_.end() && blocks_[found->second].state != kNone) return found->second;
  }
  return kNone;
}

PrefixStore::Key PrefixStore::TailKey(uint64_t parent, std::span<const int32_t> tokens) {
  Key key{parent, {}};
  key.tokens.fill(kNoToken);
  std::ranges::copy(tokens, key.tokens.begin());
  return key;
}

const PrefixStore::Root& PrefixStore::RootOf(const std::string& scope) {
  const auto known = roots_.find(scope);
  if (known != roots_.end()) return known->second;
  if (roots_.size() >= std::max(kManyRoots, 2 * blocks_.size())) ForgetEmptyRoots();
  Root root{next_id_++, {}};
  if (names_blocks()) root.name = RootKey(fingerprint_, scope);
  return roots_.emplace(scope, root).first->second;
}

// A client may send another salt with each request, so that scopes are without end; blocks are not.
void PrefixStore::ForgetEmptyRoots() {
  std::unordered_set<uint64_t> used;
  for (size_t i = 0; i < used_; ++i) used.insert(blocks_[i].key.parent);
  std::erase_if(roots_, [&used](const auto& entry) { return !used.contains(entry.second.id); });
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
  MakeNewest(path);
  return path;
}

void PrefixStore::MakeNewest(std::span<const size_t> path) {
  for (size_t i = path.size(); i-- > 0;) {
    Unlink(path[i]);
    PushNewest(path[i]);
  }
}

size_t PrefixStore::TakeState() {
  if (states_used_ < owners_.size()) return states_used_++;
  const auto oldest = std::ranges::min_element(owners_, {}, &Owner::used);
  if (oldest->block != kNone) DropState(oldest->block);
  return static_cast<size_t>(oldest - owners_.begin());
}

void PrefixStore::DropState(size_t block) {
  owners_[blocks_[block].state] = {};
  blocks_[block].state = kNone;
}

size_t PrefixStore::TakeBlock() {
  if (used_ < blocks_.size()) return used_++;
  const size_t block = oldest_;
  Unlink(block);
  index_.erase(blocks_[block].key);
  const bool is_tail = blocks_[block].parent != kNone;
  if (observer_ != nullptr && !is_tail) observer_->OnRemoved(blocks_[block].name);
  if (blocks_[block].state != kNone) DropState(block);
  // A tail goes before its parent.
  if (is_tail) --blocks_[blocks_[block].parent].tails;
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
