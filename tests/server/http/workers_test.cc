#include "server/http/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace lockstep {
namespace {

TEST(WorkersTest, RunsSoManyAtOnceAndKeepsSoManyWaiting) {
  std::promise<void> go;
  const std::shared_future<void> gone(go.get_future());
  std::atomic<int> begun{0}, done{0};
  {
    Workers workers(2, 1);
    const auto work = [&, gone] {
      ++begun;
      gone.wait();
      ++done;
    };
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(workers.Post(work));
    EXPECT_FALSE(workers.Post(work));
    while (begun < 2) std::this_thread::yield();
    EXPECT_FALSE(workers.Post(work));  // two run, one waits
    go.set_value();
    while (done < 3) std::this_thread::yield();
    while (!workers.Post(work)) std::this_thread::yield();  // there is room again
  }
  EXPECT_EQ(done, 4);  // the end waits for what was posted
}

}  // namespace
}  // namespace lockstep
