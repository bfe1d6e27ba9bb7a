#include "core/engine/step_turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

TEST(StepTurnsTest, WithoutTurnsNobodyWaits) { const StepTurns::Turn one(nullptr), other(nullptr); }

// Both come again as soon as they leave, and still neither has two steps while the other waits.
TEST(StepTurnsTest, TwoAlternate) {
  StepTurns turns;
  std::atomic<int> inside{0};
  std::vector<int> order;  // guarded by the turn
  std::atomic<bool> both{false};
  std::atomic<int> ready{0};
  const auto run = [&](int who) {
    if (++ready == 2) both = true;
    while (!both) std::this_thread::yield();
    for (int i = 0; i < 200; ++i) {
      const StepTurns::Turn turn(&turns);
      EXPECT_EQ(++inside, 1);
      order.push_back(who);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      --inside;
    }
  };
  std::thread one(run, 1), two(run, 2);
  one.join();
  two.join();
  ASSERT_EQ(order.size(), 400u);
  // One that ends its turn may be put to sleep before it asks again, and then the other has two: as
  // seldom as that is, it is no rule.
  size_t changes = 0;
  for (size_t i = 1; i < order.size(); ++i) changes += order[i] != order[i - 1] ? 1 : 0;
  EXPECT_GT(changes, 200u);
}

}  // namespace
}  // namespace lockstep
