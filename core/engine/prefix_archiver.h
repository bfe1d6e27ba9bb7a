// Reads and writes an archive of prefix blocks beside the scheduler, with a thread for each: what
// is slow there delays no step. Writes wait in a queue of bounded size, and are dropped where it is
// full. A fetch brings the blocks that follow in a text, as long as there are any and its deadline
// has not come. An archive that fails, or brings nothing in time, is left alone for a while, which
// doubles. Whatever an archive does, blocks that are not there are computed; what comes from there
// is what was put there, to the bit. Thread-safe, but for what is said of a fetch.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/engine/block_archive.h"

namespace lockstep {

// The keys and values of a prefix block, as KvCache::ReadGroup has them.
using BlockPayload = std::vector<uint8_t>;

// Since the start. Hits, misses and drops count blocks; a fetch has one miss at most, as it ends
// there. Damaged blocks are misses and errors.
struct ArchiveStats {
  size_t hits = 0, misses = 0, read_bytes = 0, written_bytes = 0, dropped = 0, errors = 0;
};

// What is being fetched for one text. The scheduler's, but for Add and the flag of the end.
class PrefixFetch {
 public:
  using Clock = BlockArchive::Clock;

  // `first`: the first block of the tokens that is wanted. `held` counts the bytes of all fetches.
  PrefixFetch(std::string scope, std::vector<int32_t> tokens, size_t first,
              Clock::time_point deadline, std::atomic<size_t>& held);
  ~PrefixFetch();
  PrefixFetch(const PrefixFetch&) = delete;
  PrefixFetch& operator=(const PrefixFetch&) = delete;

  const std::string& scope() const { return scope_; }
  const std::vector<int32_t>& tokens() const { return tokens_; }
  size_t first() const { return first_; }
  Clock::time_point deadline() const { return deadline_; }

  // Whether all has come that will. Asked before Take, it says that nothing comes after that.
  bool ended() const { return ended_ || Clock::now() >= deadline_; }
  // The blocks that have come since the last call, in their order, and the place of the first.
  std::pair<size_t, std::vector<BlockPayload>> Take();
  // Nothing more is wanted; whoever waits for it need not. Ends with the deadline by itself.
  void Close() { closed_ = true; }
  bool closed() const { return closed_; }

  void Add(BlockPayload block);
  void SetEnded() { ended_ = true; }

 private:
  const std::string scope_;
  const std::vector<int32_t> tokens_;
  const size_t first_;
  const Clock::time_point deadline_;
  std::atomic<size_t>& held_;
  std::atomic<bool> ended_{false}, closed_{false};
  Mutex mutex_;
  size_t taken_ GUARDED_BY(mutex_) = 0;
  std::vector<BlockPayload> blocks_ GUARDED_BY(mutex_);
};

struct PrefixArchiverOptions {
  std::string fingerprint;        // of all that makes keys and values
  size_t payload_bytes = 0;       // of a block
  size_t write_bytes = 32 << 20;  // that wait to be written, at most, or one block
  size_t fetch_bytes = 32 << 20;  // that wait to be taken, at most, or one block
  std::function<void(const std::string& problem)> warn = {};  // may be empty; from both threads
};

class PrefixArchiver {
 public:
  using Clock = BlockArchive::Clock;

  // The archive must outlive it.
  PrefixArchiver(BlockArchive& archive, PrefixArchiverOptions options);
  // Writes what waits, as far as that takes moments. All fetches must be gone.
  ~PrefixArchiver();
  PrefixArchiver(const PrefixArchiver&) = delete;
  PrefixArchiver& operator=(const PrefixArchiver&) = delete;

  const std::string& fingerprint() const { return options_.fingerprint; }
  // Null where the archive is not to be asked now.
  std::shared_ptr<PrefixFetch> Fetch(std::string scope, std::vector<int32_t> tokens, size_t first,
                                     Clock::time_point deadline);
  // Whether there is room for a block that is to be written. One that finds none is counted as
  // dropped.
  bool HasRoom();
  void Write(const BlockKey& key, BlockPayload block);

  ArchiveStats stats() const;

 private:
  // When an archive that failed may be tried again.
  struct Backoff {
    Clock::duration pause{};
    Clock::time_point until{};
    bool over() const { return Clock::now() >= until; }
    void Fail();
  };
  struct Waiting {
    BlockKey key;
    BlockPayload block;
  };

  void FetchLoop();
  void FetchBlocks(PrefixFetch& fetch);
  void WriteLoop();
  void WriteBlock(const Waiting& waiting);
  void Warn(const std::string& problem);

  BlockArchive& archive_;
  const PrefixArchiverOptions options_;

  std::atomic<size_t> hits_{0}, misses_{0}, read_bytes_{0}, written_bytes_{0}, dropped_{0},
      errors_{0};
  std::atomic<size_t> held_{0};  // bytes that were fetched and not taken

  mutable Mutex mutex_;
  CondVar to_fetch_, to_write_;
  std::deque<std::shared_ptr<PrefixFetch>> fetches_ GUARDED_BY(mutex_);
  std::shared_ptr<PrefixFetch> fetching_ GUARDED_BY(mutex_);
  std::deque<Waiting> writes_ GUARDED_BY(mutex_);
  size_t write_bytes_ GUARDED_BY(mutex_) = 0;
  Backoff reading_ GUARDED_BY(mutex_), writing_ GUARDED_BY(mutex_);
  bool stop_ GUARDED_BY(mutex_) = false;
  Clock::time_point last_write_ GUARDED_BY(mutex_);  // after stop_: until when writes go on
  std::thread fetcher_, writer_;
};

}  // namespace lockstep
