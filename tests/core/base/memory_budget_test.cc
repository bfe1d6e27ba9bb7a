#include "core/base/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace lockstep {
namespace {

using Share = MemoryBudget::Share;

TEST(MemoryBudgetTest, SharesNeverAddUpToMore) {
  MemoryBudget budget(100);
  Share a(&budget), b(&budget);
  EXPECT_TRUE(a.Resize(60));
  EXPECT_TRUE(b.Grow(40));
  EXPECT_EQ(budget.used(), 100u);
  const Status refused = b.Grow(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kOverloaded);
  EXPECT_GT(refused.error().retry_after_s, 0);
  EXPECT_EQ(b.bytes(), 40u);
  EXPECT_TRUE(a.Resize(59));
  EXPECT_TRUE(b.Grow(1));
  EXPECT_EQ(budget.used(), 100u);
}

TEST(MemoryBudgetTest, WhatNeverFitsIsNoMatterOfTime) {
  MemoryBudget budget(100);
  Share share(&budget);
  EXPECT_EQ(share.Resize(101).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(share.Resize(101).error().message, testing::HasSubstr("--request-memory"));
  EXPECT_EQ(budget.used(), 0u);
}

// Nobody else is there to be waited for.
TEST(MemoryBudgetTest, WhatARequestHoldsBesideCountsToItself) {
  MemoryBudget budget(100);
  Share body(&budget), share(&budget, 30);
  body.Force(30);
  EXPECT_EQ(share.Resize(71).error().kind, ErrorKind::kInvalidArgument);
  Share moved;
  moved = std::move(share);
  EXPECT_EQ(moved.Resize(71).error().kind, ErrorKind::kInvalidArgument);
  Share again(std::move(moved));
  EXPECT_EQ(again.Resize(71).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_TRUE(again.Resize(70));
}

TEST(MemoryBudgetTest, WhatFitsBesideNothingAtAllIsNoMatterOfTimeEither) {
  MemoryBudget budget(6400);
  Share idle(&budget), share(&budget);
  idle.Force(100);
  EXPECT_EQ(share.Resize(6301).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_TRUE(share.Resize(6300));
  share.Force(0);
  idle.Force(101);
  EXPECT_EQ(share.Resize(6300).error().kind, ErrorKind::kOverloaded);
}

TEST(MemoryBudgetTest, AShareEndsWithItsOwnerAndMoves) {
  MemoryBudget budget(100);
  {
    Share a(&budget);
    ASSERT_TRUE(a.Resize(30));
    Share b(std::move(a));
    EXPECT_EQ(budget.used(), 30u);
    a = Share(&budget);
    ASSERT_TRUE(a.Resize(20));
    b = std::move(a);
    EXPECT_EQ(b.bytes(), 20u);
    EXPECT_EQ(budget.used(), 20u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(MemoryBudgetTest, WhatIsForcedCountsBeyondTheEnd) {
  MemoryBudget budget(100);
  Share a(&budget), b(&budget), none;
  a.Force(150);
  EXPECT_TRUE(budget.overdrawn());
  EXPECT_FALSE(b.Resize(1));
  EXPECT_TRUE(none.Resize(1'000'000));
  budget.SetCapacity(200);
  EXPECT_TRUE(b.Resize(50));
}

TEST(MemoryBudgetTest, ThreadsShareOneSum) {
  MemoryBudget budget(1000);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&budget] {
      for (int i = 0; i < 20'000; ++i) {
        Share share(&budget);
        if (!share.Resize(300)) continue;
        EXPECT_LE(budget.used(), 1000u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used(), 0u);
}

// What the same request holds elsewhere never comes free for it.
}  // namespace
}  // namespace lockstep
