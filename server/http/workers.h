// Threads that answer requests, of which a bounded number may wait for one. All methods may be
// called from any thread.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "core/base/mutex.h"

namespace lockstep {

class Workers {
 public:
  // Throws std::system_error if the machine gives no more threads; none is left then.
  Workers(size_t threads, size_t waiting);
  ~Workers();  // after all work that was posted is done
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // False if too many wait. `work` must not throw.
  bool Post(std::function<void()> work) EXCLUDES(mutex_);

 private:
  void Run() EXCLUDES(mutex_);
  void Stop() EXCLUDES(mutex_);

  const size_t most_;  // that run or wait
  Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mutex_);
  size_t unfinished_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // last: they use the rest
};

}  // namespace lockstep
