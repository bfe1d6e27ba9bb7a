// An eventfd and not a condition variable, because who reads waits for a socket, too. It is written
// to once for as many events as there are when they are taken, so that a step makes one such call
// or none.
#include "server/events/kv_event_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace lockstep {

Result<std::unique_ptr<KvEventQueue>> KvEventQueue::Create(size_t room) {
  const int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake < 0) {
    return Fail(ErrorKind::kUnavailable,
                std::string("--kv-events: there is no descriptor for their queue: ") +
                    std::generic_category().message(errno));
  }
  return std::unique_ptr<KvEventQueue>(new KvEventQueue(wake, room));
}

KvEventQueue::KvEventQueue(int wake, size_t room) : wake_(wake), room_(room) {
  waiting_.reserve(room);
}

KvEventQueue::~KvEventQueue() { close(wake_); }

void KvEventQueue::OnStored(const StoredBlock& block) noexcept {
  KvEvent event;
  event.kind = KvEvent::Kind::kStored;
  event.hash = KvEventHash(block.key);
  std::copy(block.tokens.begin(), block.tokens.end(), event.tokens.begin());
  if (block.parent != nullptr) {
    event.parent = KvEventHash(*block.parent);
  } else {
    try {
      event.scope = block.scope;
    } catch (const std::bad_alloc&) {
      Clear();
      return;
    }
  }
  Add(std::move(event));
}

void KvEventQueue::OnRemoved(const BlockKey& key) noexcept {
  KvEvent event;
  event.kind = KvEvent::Kind::kRemoved;
  event.hash = KvEventHash(key);
  Add(std::move(event));
}

void KvEventQueue::Clear() {
  {
    const MutexLock lock(mutex_);
    Forget();
  }
  Wake();
}

void KvEventQueue::Wake() noexcept {
  const uint64_t one = 1;
  // It fails where it was written to 2^64 - 2 times and not read: then there is something to read.
  if (write(wake_, &one, sizeof one) < 0) return;
}

void KvEventQueue::Add(KvEvent&& event) noexcept {
  bool first = false;
  {
    const MutexLock lock(mutex_);
    if (waiting_.size() == room_) Forget();
    first = waiting_.empty();
    waiting_.push_back(std::move(event));
  }
  if (first) Wake();
}

void KvEventQueue::Forget() {
  forgotten_ += waiting_.size();
  waiting_.clear();
  waiting_.emplace_back();
}

size_t KvEventQueue::Take(std::vector<KvEvent>& events) {
  events.clear();
  events.reserve(room_);
  uint64_t count = 0;
  if (read(wake_, &count, sizeof count) < 0) count = 0;  // nobody woke the reader
  const MutexLock lock(mutex_);
  waiting_.swap(events);
  return std::exchange(forgotten_, 0);
}

}  // namespace lockstep
