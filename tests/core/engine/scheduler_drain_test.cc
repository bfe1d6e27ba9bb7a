// The end of a scheduler: what drains, what is refused meanwhile, and what is left is ended.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>

#include "core/engine/scheduler.h"
#include "tests/support/scheduler_fixture.h"

namespace lockstep {
namespace {

using SchedulerDrainTest = SchedulerTest;

TEST_F(SchedulerDrainTest, DrainLetsRequestsFinishAndRefusesNewOnes) {
  Start(1);
  Gate gate(*this);
  const auto queued = MustSubmit(Request("a", 5, 10));
  auto drained =
      std::async(std::launch::async, [&] { return scheduler_->Drain(std::chrono::minutes(5)); });
  while (!scheduler_->state().draining) std::this_thread::yield();
  const Status status = Submit(Request("b", 5, 10), NewRecorder());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable);
  gate.Open();
  EXPECT_TRUE(drained.get());
  EXPECT_EQ(queued->Wait().tokens.size(), 10u);
  EXPECT_FALSE(queued->Wait().error);
  EXPECT_EQ(sessions_->available(), 1u);
  EXPECT_TRUE(scheduler_->Drain(std::chrono::milliseconds(0)));  // again: nothing is left
}

TEST_F(SchedulerDrainTest, AnAnnouncedDrainStillTakesRequests) {
  Start(1);
  scheduler_->AnnounceDrain();
  EXPECT_TRUE(scheduler_->state().draining);
  EXPECT_EQ(MustSubmit(Request("a", 5, 10))->Wait().tokens.size(), 10u);
  EXPECT_TRUE(scheduler_->Drain(std::chrono::seconds(5)));
  const Status late = Submit(Request("b", 5, 10), NewRecorder());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().retry_after_s, 1);
}

TEST_F(SchedulerDrainTest, DrainEndsWhatIsLeftAfterTheTimeout) {
  Start(1);
  auto running = NewRecorder();
  std::promise<void> started;
  running->on_token = [&](size_t tokens) {  // slow, so that it cannot end by itself
    if (tokens == 1) started.set_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  ASSERT_TRUE(Submit(Request("running", 1, 120), running));
  const auto queued = MustSubmit(Request("queued", 5, 10));
  started.get_future().wait();
  EXPECT_FALSE(scheduler_->Drain(std::chrono::milliseconds(0)));
  for (const auto& recorder : {running, queued}) {
    ASSERT_TRUE(recorder->Wait().error);
    EXPECT_EQ(recorder->Wait().error->kind, ErrorKind::kUnavailable);
  }
  EXPECT_EQ(sessions_->available(), 1u);
}

TEST_F(SchedulerDrainTest, DestructionEndsEveryRequest) {
  Start(2, {.max_queued = 10});
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (int i = 0; i < 10; ++i) {
    recorders.push_back(MustSubmit(Request(fmt::format("{}", i), 20, 100)));
  }
  scheduler_.reset();
  for (const auto& recorder : recorders) {
    const Answer& answer = recorder->Wait();
    EXPECT_NE(answer.error.has_value(), answer.finish != FinishReason::kNone);
  }
  ASSERT_TRUE(recorders.back()->Wait().error);
  EXPECT_EQ(recorders.back()->Wait().error->kind, ErrorKind::kUnavailable);
  EXPECT_EQ(sessions_->available(), 2u);
}

}  // namespace
}  // namespace lockstep
