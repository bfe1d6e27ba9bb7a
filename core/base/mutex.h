// A mutex, a lock and a condition variable that clang's thread-safety analysis understands. A
// member that is GUARDED_BY(mutex_) can be touched only where the mutex is held: clang refuses to
// compile what breaks the rule (-Wthread-safety), gcc ignores the marks. They are std::mutex and
// std::condition_variable otherwise, whose own types carry no marks in libstdc++.
//
// A condition is waited for in a loop and not by a predicate, because the analysis looks at a
// lambda without knowing which locks its caller holds:
//   while (queue_.empty()) wake_.Wait(mutex_);
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#ifdef __clang__
#define LOCKSTEP_THREAD_SAFETY(x) __attribute__((x))
#else
#define LOCKSTEP_THREAD_SAFETY(x)
#endif

#define CAPABILITY(name) LOCKSTEP_THREAD_SAFETY(capability(name))
#define SCOPED_CAPABILITY LOCKSTEP_THREAD_SAFETY(scoped_lockable)
#define GUARDED_BY(mutex) LOCKSTEP_THREAD_SAFETY(guarded_by(mutex))
// The caller of the function holds the mutex, or must not hold it since the function takes it.
#define REQUIRES(...) LOCKSTEP_THREAD_SAFETY(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) LOCKSTEP_THREAD_SAFETY(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) LOCKSTEP_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
#define RELEASE(...) LOCKSTEP_THREAD_SAFETY(release_capability(__VA_ARGS__))

namespace lockstep {

class CAPABILITY("mutex") Mutex {
 public:
  void Lock() ACQUIRE() { mutex_.lock(); }
  void Unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds the mutex for as long as it lives.
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waiting gives the mutex up and takes it again; it may also end for no reason.
class CondVar {
 public:
  void Wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False if the time has come.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point time) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    const bool before = condition_.wait_until(lock, time) == std::cv_status::no_timeout;
    lock.release();
    return before;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace lockstep
