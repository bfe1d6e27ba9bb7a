#include "core/kernels/thread_pool.h"

#include <algorithm>
#include <cassert>

#include "core/kernels/cpu_features.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {
namespace {

// About 20 to 50 microseconds: longer than the gaps inside a step, far shorter than one of a
// scheduler's idle times.
constexpr int kSpins = 2000;

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
  for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this] { WorkerLoop(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(size_t n, size_t grain, RangeFn range_fn, const void* fn) {
  n_ = n;
  grain_ = grain;
  range_fn_ = range_fn;
  fn_ = fn;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(workers_.size(), std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  Work();
  // Every worker takes part in every task, so that none can meet a later one's fields half-written.
  for (size_t left = busy_.load(std::memory_order_acquire), spins = 0; left != 0;
       left = busy_.load(std::memory_order_acquire)) {
    if (++spins < kSpins) {
      Pause();
    } else {
      std::this_thread::yield();  // more threads than processors: let the worker run
    }
  }
}

void ThreadPool::Work() {
  for (;;) {
    const size_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= n_) return;
    range_fn_(fn_, begin, std::min(begin + grain_, n_));
  }
}

void ThreadPool::WorkerLoop() {
  SetComputeFloatMode();
  uint32_t seen = 0;
  for (;;) {
    for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < kSpins) {
        Pause();
      } else {
        epoch_.wait(seen, std::memory_order_acquire);
      }
    }
    ++seen;
    if (stop_.load()) return;
    Work();
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace lockstep
