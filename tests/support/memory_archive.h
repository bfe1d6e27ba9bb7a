// An archive in memory, that fails, damages and is slow as a test says.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/engine/block_archive.h"

namespace lockstep {

class MemoryArchive : public BlockArchive {
 public:
  Status Get(std::span<const BlockKey> keys, Clock::time_point deadline,
             const Take& take) override {
    ++gets;
    for (const BlockKey& key : keys) {
      if (fails) return Fail(ErrorKind::kUnavailable, "the archive fails");
      // As long as it hangs, past every deadline; else no longer than the deadline.
      while (hangs) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::this_thread::sleep_for(delay.load());
      if (Clock::now() >= deadline) return {};
      std::vector<uint8_t> bytes;
      {
        const MutexLock lock(mutex_);
        const auto found = blocks_.find(key);
        if (found == blocks_.end()) return {};
        bytes = found->second;
      }
      if (!take(bytes)) return {};
    }
    return {};
  }
  Result<size_t> Put(const BlockKey& key, std::span<const uint8_t> bytes) override {
    if (fails) return Fail(ErrorKind::kUnavailable, "the archive fails");
    while (hangs) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const MutexLock lock(mutex_);
    const bool is_new = blocks_.try_emplace(key, bytes.begin(), bytes.end()).second;
    return is_new ? bytes.size() : 0;
  }
  void Forget(const BlockKey& key) override {
    const MutexLock lock(mutex_);
    blocks_.erase(key);
  }

  size_t size() const {
    const MutexLock lock(mutex_);
    return blocks_.size();
  }
  // Calls `change` with the bytes of each block.
  template <class Change>
  void ForEach(const Change& change) {
    const MutexLock lock(mutex_);
    for (auto& [key, bytes] : blocks_) change(bytes);
  }

  std::atomic<bool> fails{false}, hangs{false};
  std::atomic<std::chrono::milliseconds> delay{std::chrono::milliseconds(0)};
  std::atomic<size_t> gets{0};

 private:
  mutable Mutex mutex_;
  std::map<BlockKey, std::vector<uint8_t>> blocks_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
