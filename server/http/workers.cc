// The HTTP library has a pool of its own, which ends the process where a thread cannot be had: its
// constructor throws with threads that run, and those are not joined.
#include "server/http/workers.h"

#include <utility>

namespace lockstep {

Workers::Workers(size_t threads, size_t waiting) : most_(threads + waiting) {
  threads_.reserve(threads);
  try {
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  } catch (...) {
    Stop();
    throw;
  }
}

Workers::~Workers() { Stop(); }

bool Workers::Post(std::function<void()> work) {
  {
    const MutexLock lock(mutex_);
    if (unfinished_ >= most_) return false;
    queue_.push_back(std::move(work));
    ++unfinished_;
  }
  wake_.NotifyOne();
  return true;
}

void Workers::Run() {
  for (;;) {
    std::function<void()> work;
    {
      const MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) wake_.Wait(mutex_);
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
    work = nullptr;  // what it holds ends before it counts as done
    const MutexLock lock(mutex_);
    --unfinished_;
  }
}

void Workers::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace lockstep
