#include "core/kernels/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

TEST(ThreadPoolTest, EveryIndexIsVisitedOnceForAnyThreadsSizeAndGrain) {
  for (size_t threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (size_t n : {0, 1, 2, 7, 64, 1000}) {
      for (size_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> visits(n);
        pool.ParallelFor(n, grain, [&](size_t begin, size_t end) {
          EXPECT_LT(begin, end);
          for (size_t i = begin; i < end; ++i) ++visits[i];
        });
        for (const auto& v : visits) ASSERT_EQ(v, 1);
      }
    }
  }
}

TEST(ThreadPoolTest, ResultsOfOneTaskAreSeenByTheNext) {
  ThreadPool pool(3);
  std::vector<int> values(997, 0);
  for (int round = 1; round <= 2000; ++round) {
    pool.ParallelFor(values.size(), 10, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) values[i] += static_cast<int>(i) ^ round;
    });
  }
  for (size_t i = 0; i < values.size(); ++i) {
    int expected = 0;
    for (int round = 1; round <= 2000; ++round) expected += static_cast<int>(i) ^ round;
    ASSERT_EQ(values[i], expected);
  }
}

TEST(ThreadPoolTest, AnIdlePoolUsesNoProcessorTime) {
  ThreadPool pool(4);
  std::atomic<int> done{0};
  pool.ParallelFor(100, 1, [&](size_t, size_t) { ++done; });
  EXPECT_EQ(done, 100);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // longer than any spin
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // Three spinning workers would use 900 ms of processor time, or all that the machine has.
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.05);
}

}  // namespace
}  // namespace lockstep
