// A fixed set of worker threads for the inside of one step. Workers spin for a short while after a
// task and then sleep, so a step pays about a microsecond per task and an idle pool costs nothing.
// Nobody waits for a worker that has not begun: on a crowded machine the caller does the work
// itself. One thread at a time may call ParallelFor.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace lockstep {

class ThreadPool {
 public:
  // `threads` counts the caller: 1 starts no worker. Throws std::system_error if the machine gives
  // no more threads. REQUIRES: threads >= 1.
  explicit ThreadPool(size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t threads() const { return workers_.size() + 1; }

  // Calls fn(begin, end) or fn(begin, end, thread) for ranges of at most `grain` that together
  // cover [0, n), on any thread, in any order, and returns when all are done. `thread` is below
  // threads(), and no two calls at the same time have the same. fn must not throw. No allocation,
  // no lock unless a worker sleeps. Runs on the caller alone when n <= grain.
  template <class Fn>
  void ParallelFor(size_t n, size_t grain, const Fn& fn) {
    if (n == 0) return;
    if (n <= grain || workers_.empty()) {
      Call(fn, 0, n, 0);
      return;
    }
    Run(
        n, grain,
        [](const void* f, size_t begin, size_t end, size_t thread) {
          Call(*static_cast<const Fn*>(f), begin, end, thread);
        },
        &fn);
  }

 private:
  using RangeFn = void (*)(const void* fn, size_t begin, size_t end, size_t thread);
  template <class Fn>
  static void Call(const Fn& fn, size_t begin, size_t end, size_t thread) {
    if constexpr (std::is_invocable_v<const Fn&, size_t, size_t, size_t>) {
      fn(begin, end, thread);
    } else {
      fn(begin, end);
    }
  }
  void Run(size_t n, size_t grain, RangeFn range_fn, const void* fn);
  void Work(size_t thread);
  void WorkerLoop(size_t thread);
  void Stop();

  std::vector<std::thread> workers_;  // constant after construction

  // The task in hand: written by the caller before it is opened in state_.
  size_t n_ = 0, grain_ = 0;
  RangeFn range_fn_ = nullptr;
  const void* fn_ = nullptr;
  // The task's number << 17 | open << 16 | workers inside it.
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<size_t> next_{0};  // first index not yet taken
  std::atomic<bool> stop_{false};
};

}  // namespace lockstep
