// Between the scheduler, whose steps wait for nobody, and the thread that sends events: room for so
// many of them. Where it is used up, all that waits is forgotten and "everything is cleared" stands
// for it: what was told before may be wrong by then, and a picker that believes less than there is
// loses time, but one that believes more loses as much and again with each request. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "server/events/kv_event.h"

namespace lockstep {

class KvEventQueue : public PrefixObserver {
 public:
  static constexpr size_t kRoom = 16384;  // events: the blocks of 262,144 tokens

  // Its wake() can be polled for reading while there are events. kUnavailable without a descriptor.
  [[nodiscard]] static Result<std::unique_ptr<KvEventQueue>> Create(size_t room = kRoom);
  ~KvEventQueue() override;
  KvEventQueue(const KvEventQueue&) = delete;
  KvEventQueue& operator=(const KvEventQueue&) = delete;

  void OnStored(const StoredBlock& block) noexcept override;
  void OnRemoved(const BlockKey& key) noexcept override;
  // What is told from now on begins with "everything is cleared".
  void Clear();
  // The reader is woken though there is no event.
  void Wake() noexcept;

  int wake() const { return wake_; }
  // All that waits; how many events were forgotten since the last call.
  size_t Take(std::vector<KvEvent>& events);

 private:
  KvEventQueue(int wake, size_t room);
  void Add(KvEvent&& event) noexcept;
  void Forget() REQUIRES(mutex_);

  const int wake_;  // an eventfd
  const size_t room_;
  Mutex mutex_;
  std::vector<KvEvent> waiting_ GUARDED_BY(mutex_);  // never grows beyond its first room
  size_t forgotten_ GUARDED_BY(mutex_) = 0;
};

}  // namespace lockstep
