// Whose step is next, where schedulers of several models share one pool of threads: first come,
// first served, so that each waits for one step of the other at most. Thread-safe.
#pragma once

#include <cstdint>

#include "core/base/mutex.h"

namespace lockstep {

class StepTurns {
 public:
  // Waits for the turn, and has it for as long as it lives; without turns there is nothing to wait
  // for.
  class Turn {
   public:
    explicit Turn(StepTurns* turns) : turns_(turns) {
      if (turns_ != nullptr) turns_->Take();
    }
    ~Turn() {
      if (turns_ != nullptr) turns_->Leave();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    StepTurns* const turns_;
  };

 private:
  void Take() {
    const MutexLock lock(mutex_);
    const uint64_t mine = next_++;
    while (now_ != mine) left_.Wait(mutex_);
  }
  void Leave() {
    {
      const MutexLock lock(mutex_);
      ++now_;
    }
    left_.NotifyAll();
  }

  Mutex mutex_;
  CondVar left_;
  uint64_t next_ GUARDED_BY(mutex_) = 0;  // the number that who comes next gets
  uint64_t now_ GUARDED_BY(mutex_) = 0;   // the number whose turn it is
};

}  // namespace lockstep
