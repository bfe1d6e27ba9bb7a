#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/support/scheduler_fixture.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

// A victim is cancelled in each stage of its life; its neighbours' bits stay as they are.
class SchedulerCancelTest : public SchedulerTest {
 protected:
  // Neighbours run; the first of them cancels the victim when it has `after` tokens.
  Answer Cancel(size_t sessions, Job victim, size_t after) {
    // Without drafts, which would bring the victim's tokens before it is cancelled.
    Start(sessions, {.max_queued = 4, .prefill_tokens = 3, .longest_draft = 0});
    const std::vector<Job> neighbours = {Request("n0", 3, 40), Request("n1", 9, 30)};
    std::vector<std::shared_ptr<Recorder>> recorders = {NewRecorder(), NewRecorder()};
    auto victim_recorder = NewRecorder();
    recorders[0]->on_token = [&](size_t tokens) {
      if (tokens == 1) {
        EXPECT_TRUE(Submit(neighbours[1], recorders[1]));
        EXPECT_TRUE(Submit(victim, victim_recorder));
      }
      if (tokens == after) *victim.cancelled = true;
    };
    victim_recorder->on_end = [&] { neighbour_tokens_ = recorders[0]->count(); };
    EXPECT_TRUE(Submit(neighbours[0], recorders[0]));
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(recorders[i]->Wait(), Alone(neighbours[i]));
    const Answer answer = victim_recorder->Wait();
    scheduler_.reset();
    EXPECT_EQ(sessions_->available(), sessions);
    EXPECT_EQ(neighbour_tokens_, after);  // no further step was made for it
    EXPECT_TRUE(answer.error && answer.error->kind == ErrorKind::kCancelled);
    return answer;
  }

  size_t neighbour_tokens_ = 0;
};

TEST_F(SchedulerCancelTest, InTheQueue) {
  EXPECT_THAT(Cancel(2, Request("victim", 5, 20), 6).tokens, ElementsAre());
}

TEST_F(SchedulerCancelTest, InPrefill) {
  EXPECT_THAT(Cancel(3, Request("victim", 90, 20), 12).tokens, ElementsAre());
}

TEST_F(SchedulerCancelTest, InDecode) {
  const Job victim = Request("victim", 2, 100);
  const Answer answer = Cancel(3, victim, 20);
  const std::vector<int32_t> alone = Alone(victim).tokens;
  ASSERT_GT(answer.tokens.size(), 2u);
  EXPECT_LT(answer.tokens.size(), 20u);
  EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(), alone.begin()));
}
}  // namespace
}  // namespace lockstep
