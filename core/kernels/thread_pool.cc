// One word holds the task's number, whether it is open, and how many workers are inside: a worker
// enters by a compare-and-swap that fails if the task was closed or replaced meanwhile, so that no
// lock is taken and nobody waits for a worker that the system has not let run. Ranges are taken
// from a counter, as threads of a shared machine go at different speeds.
#include "core/kernels/thread_pool.h"

#include <algorithm>
#include <cassert>

#include "core/kernels/float_mode.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {
namespace {

// About 20 to 50 microseconds: longer than the gaps inside a step, far shorter than one of a
// scheduler's idle times.
constexpr int kSpins = 2000;

// Parts of state_.
constexpr uint32_t kInside = 0xffff, kOpen = 0x10000, kTask = 0x20000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(size_t threads) {
  assert(threads >= 1);
  workers_.reserve(threads - 1);
  try {
    for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { WorkerLoop(i); });
  } catch (...) {  // those that were to be had must not outlive the pool
    Stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  stop_.store(true);
  state_.fetch_add(kTask);
  state_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(size_t n, size_t grain, RangeFn range_fn, const void* fn) {
  n_ = n;
  grain_ = grain;
  range_fn_ = range_fn;
  fn_ = fn;
  next_.store(0, std::memory_order_relaxed);
  state_.fetch_add(kTask + kOpen, std::memory_order_release);
  state_.notify_all();
  Work(0);
  // From here on nobody enters; those inside finish their range.
  uint32_t state = state_.fetch_and(~kOpen, std::memory_order_acquire);
  for (int spins = 0; (state & kInside) != 0; ++spins) {
    if (spins < kSpins) {
      Pause();
    } else {
      std::this_thread::yield();
    }
    state = state_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Work(size_t thread) {
  for (;;) {
    const size_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= n_) return;
    range_fn_(fn_, begin, std::min(begin + grain_, n_), thread);
  }
}

void ThreadPool::WorkerLoop(size_t thread) {
  SetComputeFloatMode();
  uint32_t done = 0;  // the last task that this worker took part in
  for (int spins = 0; !stop_.load(std::memory_order_relaxed);) {
    uint32_t state = state_.load(std::memory_order_relaxed);
    const bool fresh = (state & kOpen) != 0 && state / kTask != done;
    if (fresh && state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) {
      Work(thread);
      state_.fetch_sub(1, std::memory_order_release);
      done = state / kTask;
      spins = 0;
    } else if (fresh || ++spins < kSpins) {
      Pause();
    } else {
      state_.wait(state);
      spins = 0;
    }
  }
}

}  // namespace lockstep
