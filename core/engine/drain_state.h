// Whether a scheduler takes work, and how many of its jobs are without their last call. Jobs come
// and end under the scheduler's mutex, and so is all of this: one lock says which jobs were before
// the end of it.
#pragma once

#include <chrono>
#include <cstddef>

#include "core/base/mutex.h"

namespace lockstep {

class DrainState {
 public:
  // It is not to be sent more, but takes what comes.
  void Announce() { announced_ = true; }
  // Nothing is taken any more, and the scheduler's thread ends.
  void Stop() { refuses_ = stops_ = true; }

  bool announced() const { return announced_ || refuses_; }
  bool refuses() const { return refuses_; }
  bool stops() const { return stops_; }
  bool has_jobs() const { return jobs_ > 0; }

  // True if there was no other.
  bool Add() { return jobs_++ == 0; }
  // After the job's last call. True if it was the last one.
  bool Remove() {
    if (--jobs_ > 0) return false;
    idle_.NotifyAll();
    return true;
  }

  // Refuses new jobs and waits until the others have ended, or until the timeout; has the thread
  // that waits for `wake` end those that are left, then. True if none was left. `mutex` guards
  // this.
  bool Drain(Mutex& mutex, CondVar& wake, std::chrono::milliseconds timeout) REQUIRES(mutex) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    refuses_ = true;
    while (jobs_ > 0 && idle_.WaitUntil(mutex, deadline)) {
    }
    if (jobs_ == 0) return true;
    stops_ = true;
    wake.NotifyOne();
    while (jobs_ > 0) idle_.Wait(mutex);
    return false;
  }

 private:
  size_t jobs_ = 0;
  bool announced_ = false, refuses_ = false, stops_ = false;
  CondVar idle_;
};

}  // namespace lockstep
