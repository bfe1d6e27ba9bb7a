// Two threads and two queues. The scheduler's thread never waits for either: it asks whether a
// fetch has ended, and hands blocks over.
//
//   scheduler   Fetch ----> fetches_ --> FetchLoop   archive.Get, check, PrefixFetch::Add
//               Take  <---- the fetch's blocks, as they come
//               Write ----> writes_ ---> WriteLoop   seal, archive.Put
//
// One fetch is under way at a time. Where the archive hangs in it past the deadline nothing else is
// fetched, so that a request waits for a dead archive once at most; after it comes the pause.
#include "core/engine/prefix_archiver.h"

#include <algorithm>
#include <exception>

#include "core/engine/block_format.h"
#include "core/kernels/kernels.h"

namespace lockstep {
namespace {

constexpr size_t kBlock = kKeyGroup;  // PrefixStore::kBlock
constexpr std::chrono::seconds kFirstPause{1}, kLongestPause{60};
// What is left at the end may take so long.
constexpr std::chrono::seconds kLastWrites{3};
// How often room for another block is looked for.
constexpr std::chrono::milliseconds kRoomPoll{1};

}  // namespace

PrefixFetch::PrefixFetch(std::string scope, std::vector<int32_t> tokens, size_t first,
                         Clock::time_point deadline, std::atomic<size_t>& held)
    : scope_(std::move(scope)),
      tokens_(std::move(tokens)),
      first_(first),
      deadline_(deadline),
      held_(held) {}

PrefixFetch::~PrefixFetch() { Take(); }

std::pair<size_t, std::vector<BlockPayload>> PrefixFetch::Take() {
  const MutexLock lock(mutex_);
  std::vector<BlockPayload> blocks = std::exchange(blocks_, {});
  for (const BlockPayload& block : blocks) held_ -= block.size();
  const size_t begin = first_ + taken_;
  taken_ += blocks.size();
  return {begin, std::move(blocks)};
}

void PrefixFetch::Add(BlockPayload block) {
  const MutexLock lock(mutex_);
  const size_t bytes = block.size();
  blocks_.push_back(std::move(block));
  held_ += bytes;
}

void PrefixArchiver::Backoff::Fail() {
  pause = std::clamp<Clock::duration>(2 * pause, kFirstPause, kLongestPause);
  until = Clock::now() + pause;
}

PrefixArchiver::PrefixArchiver(BlockArchive& archive, PrefixArchiverOptions options)
    : archive_(archive), options_(std::move(options)) {
  fetcher_ = std::thread([this] { FetchLoop(); });
  writer_ = std::thread([this] { WriteLoop(); });
}

PrefixArchiver::~PrefixArchiver() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    last_write_ = Clock::now() + kLastWrites;
    if (fetching_ != nullptr) fetching_->Close();
  }
  to_fetch_.NotifyOne();
  to_write_.NotifyOne();
  fetcher_.join();
  writer_.join();
}

std::shared_ptr<PrefixFetch> PrefixArchiver::Fetch(std::string scope, std::vector<int32_t> tokens,
                                                   size_t first, Clock::time_point deadline) {
  auto fetch =
      std::make_shared<PrefixFetch>(std::move(scope), std::move(tokens), first, deadline, held_);
  {
    const MutexLock lock(mutex_);
    const bool hangs = fetching_ != nullptr && (fetching_->closed() || fetching_->ended());
    if (hangs || !reading_.over()) return nullptr;
    fetches_.push_back(fetch);
  }
  to_fetch_.NotifyOne();
  return fetch;
}

void PrefixArchiver::FetchLoop() {
  while (true) {
    std::shared_ptr<PrefixFetch> fetch;
    {
      const MutexLock lock(mutex_);
      while (!stop_ && fetches_.empty()) to_fetch_.Wait(mutex_);
      if (stop_) break;
      fetch = std::move(fetches_.front());
      fetches_.pop_front();
      if (fetch->closed() || fetch->ended()) continue;  // others took its time
      fetching_ = fetch;
    }
    try {
      FetchBlocks(*fetch);
    } catch (const std::exception&) {  // memory: what has come is of use all the same
    }
    fetch->SetEnded();
    const MutexLock lock(mutex_);
    fetching_ = nullptr;
  }
}

void PrefixArchiver::FetchBlocks(PrefixFetch& fetch) {
  std::vector<BlockKey> keys;
  BlockKey key = RootKey(options_.fingerprint, fetch.scope());
  const auto tokens = std::span(fetch.tokens());
  for (size_t end = kBlock; end <= tokens.size(); end += kBlock) {
    key = NextKey(key, tokens.subspan(end - kBlock, kBlock));
    if (end > fetch.first() * kBlock) keys.push_back(key);
  }
  const auto wanted = [&fetch] { return !fetch.closed() && Clock::now() < fetch.deadline(); };
  size_t had = 0;
  bool damaged = false;
  const Status status = archive_.Get(keys, fetch.deadline(), [&](std::span<const uint8_t> bytes) {
    const auto payload = OpenBlock(options_.fingerprint, keys[had], options_.payload_bytes, bytes);
    damaged = !payload;
    if (damaged) return false;
    const size_t most = std::max(options_.fetch_bytes, payload->size());
    while (held_ + payload->size() > most && wanted()) std::this_thread::sleep_for(kRoomPoll);
    if (!wanted()) return false;
    fetch.Add({payload->begin(), payload->end()});
    read_bytes_ += bytes.size();
    ++hits_;
    return ++had < keys.size() && wanted();
  });
  if (damaged) archive_.Forget(keys[had]);
  if (had < keys.size()) ++misses_;
  if (!status || damaged) ++errors_;
  const bool late = had == 0 && Clock::now() >= fetch.deadline();
  {
    const MutexLock lock(mutex_);
    !status || late ? reading_.Fail() : void(reading_ = {});
  }
  if (!status) Warn(status.error().message);
}

bool PrefixArchiver::HasRoom() {
  const MutexLock lock(mutex_);
  const size_t block = options_.payload_bytes;
  if (write_bytes_ + block <= std::max(options_.write_bytes, block)) return true;
  ++dropped_;
  return false;
}

void PrefixArchiver::Write(const BlockKey& key, BlockPayload block) {
  {
    const MutexLock lock(mutex_);
    const size_t bytes = block.size();
    writes_.push_back({key, std::move(block)});
    write_bytes_ += bytes;
  }
  to_write_.NotifyOne();
}

void PrefixArchiver::WriteLoop() {
  while (true) {
    Waiting waiting;
    bool gives_up;
    {
      const MutexLock lock(mutex_);
      while (!stop_ && writes_.empty()) to_write_.Wait(mutex_);
      if (writes_.empty()) break;
      waiting = std::move(writes_.front());
      writes_.pop_front();
      gives_up = !writing_.over() || (stop_ && Clock::now() >= last_write_);
    }
    if (gives_up) {
      ++dropped_;
    } else {
      WriteBlock(waiting);
    }
    const MutexLock lock(mutex_);
    write_bytes_ -= waiting.block.size();
  }
}

void PrefixArchiver::WriteBlock(const Waiting& waiting) {
  Result<size_t> written = 0;
  try {
    written =
        archive_.Put(waiting.key, SealBlock(options_.fingerprint, waiting.key, waiting.block));
  } catch (const std::exception&) {
    written = tl::unexpected<Error>(CaughtError());
  }
  {
    const MutexLock lock(mutex_);
    written ? void(writing_ = {}) : writing_.Fail();
  }
  if (written) {
    written_bytes_ += *written;
    return;
  }
  ++errors_;
  Warn(written.error().message);
}

void PrefixArchiver::Warn(const std::string& problem) {
  if (options_.warn) options_.warn(problem);
}

ArchiveStats PrefixArchiver::stats() const {
  return {hits_, misses_, read_bytes_, written_bytes_, dropped_, errors_};
}

}  // namespace lockstep
