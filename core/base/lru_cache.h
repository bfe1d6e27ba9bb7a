// Values by key, of which those not used for longest are forgotten once there are too many or they
// are too large together. Thread-safe; a value is handed out as a copy, so it should be a
// shared_ptr or as small as one.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/mutex.h"

namespace lockstep {

template <class Key, class Value, class Hash = std::hash<Key>>
class LruCache {
 public:
  LruCache(size_t max_entries, size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes) {}

  std::optional<Value> Find(const Key& key) {
    const MutexLock lock(mutex_);
    const auto found = by_key_.find(&key);
    if (found == by_key_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  // Returns what the key stands for from now on: `value`, or what another thread put there first.
  // A value of more than max_bytes alone is not remembered.
  Value Insert(Key key, Value value, size_t bytes) {
    const MutexLock lock(mutex_);
    if (const auto found = by_key_.find(&key); found != by_key_.end()) return found->second->value;
    entries_.push_front({std::move(key), value, bytes});
    by_key_.emplace(&entries_.front().key, entries_.begin());
    bytes_ += bytes;
    while (entries_.size() > max_entries_ || bytes_ > max_bytes_) {
      bytes_ -= entries_.back().bytes;
      by_key_.erase(&entries_.back().key);
      entries_.pop_back();
    }
    return value;
  }

  void Erase(const Key& key) {
    const MutexLock lock(mutex_);
    const auto found = by_key_.find(&key);
    if (found == by_key_.end()) return;
    const auto entry = found->second;
    bytes_ -= entry->bytes;
    by_key_.erase(found);
    entries_.erase(entry);
  }

  void Clear() {
    const MutexLock lock(mutex_);
    by_key_.clear();
    entries_.clear();
    bytes_ = 0;
  }

  size_t size() const {
    const MutexLock lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    Key key;
    Value value;
    size_t bytes;
  };
  // The map points at the list's keys, so that a long one is not kept twice.
  struct KeyHash {
    size_t operator()(const Key* key) const { return Hash()(*key); }
  };
  struct SameKey {
    bool operator()(const Key* a, const Key* b) const { return *a == *b; }
  };
  using Entries = std::list<Entry>;

  const size_t max_entries_, max_bytes_;
  mutable Mutex mutex_;
  Entries entries_ GUARDED_BY(mutex_);  // the last used first
  std::unordered_map<const Key*, typename Entries::iterator, KeyHash, SameKey> by_key_
      GUARDED_BY(mutex_);
  size_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace lockstep
