// Sessions that share less memory than all of their contexts would take: whoever finds none waits,
// or pauses and reads its text again, and the answers are those that each gets alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "tests/support/scheduler_fixture.h"

namespace lockstep {
namespace {

constexpr size_t kLong = 2048;

TinyModelOptions Windows() {
  TinyModelOptions options;
  options.architecture = "gemma3";
  options.kv_heads = 1, options.layers = 3;
  options.window = 20, options.window_period = 3;
  return options;
}

class SchedulerRoomTest : public SchedulerTest {
 protected:
  explicit SchedulerRoomTest(const TinyModelOptions& model = {}) : SchedulerTest(model, kLong) {}

  size_t OneContext() const {
    return KvCache::Cost(transformer_->config(), KvType::kF16, 512).Of(kLong);
  }
  // Runs them at once. The most of them that were paused at a time.
  size_t ExpectAllAsAlone(const std::vector<Job>& requests) {
    size_t most = 0;
    std::vector<std::shared_ptr<Recorder>> recorders;
    for (const Job& request : requests) {
      recorders.push_back(NewRecorder());
      recorders.back()->on_token = [&](size_t) {
        const SchedulerState state = scheduler_->state();
        most = std::max(most, state.paused);
        EXPECT_LE(state.kv_bytes, state.kv_capacity_bytes);
      };
      EXPECT_TRUE(Submit(request, recorders.back()));
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(recorders[i]->Wait(), Alone(requests[i]));
      EXPECT_EQ(recorders[i]->stats().generated_tokens, requests[i].options.max_tokens);
    }
    EXPECT_EQ(scheduler_->state().paused, 0u);
    EXPECT_EQ(sessions_->available(), sessions_->size());
    EXPECT_TRUE(sessions_->HasRoom(kLong));
    return most;
  }
};

TEST_F(SchedulerRoomTest, TheYoungestPauseAndEveryAnswerIsAsAlone) {
  std::vector<Job> requests;
  for (size_t i = 0; i < 5; ++i) requests.push_back(Request(fmt::format("{}", i), 20 + i, 1400));
  for (const size_t prefix_bytes : {size_t{0}, size_t{1} << 22}) {
    Start(4, {}, prefix_bytes, OneContext());
    EXPECT_GE(ExpectAllAsAlone(requests), 1u);
  }
}

TEST_F(SchedulerRoomTest, APromptThatFindsNoRoomIsNotPassedByAndBegins) {
  Start(4, {}, 0, OneContext());
  std::vector<Job> requests = {Request("a", 100, 100), Request("b", 1900, 100),
                               Request("c", 100, 100), Request("d", 1900, 30)};
  EXPECT_EQ(ExpectAllAsAlone(requests), 0u);
}

TEST_F(SchedulerRoomTest, APausedJobCanBeCancelledAndOutlivesADrain) {
  Start(3, {}, 0, OneContext());
  Job first = Request("a", 20, 1800), second = Request("b", 21, 1800);
  auto recorder = NewRecorder();
  recorder->on_token = [&](size_t) {
    if (scheduler_->state().paused > 0) second.cancelled->store(true);
  };
  ASSERT_TRUE(Submit(first, recorder));
  const auto paused = MustSubmit(second);
  ASSERT_TRUE(paused->Wait().error.has_value());
  EXPECT_EQ(paused->Wait().error->kind, ErrorKind::kCancelled);
  EXPECT_TRUE(scheduler_->Drain(std::chrono::seconds(60)));
  EXPECT_EQ(recorder->Wait(), Alone(first));
}

TEST_F(SchedulerRoomTest, NotEvenOneContextIsRefused) {
  const auto pool =
      SessionPool::Create(transformer_->config(), tokenizer_,
                          {.sessions = 2, .context = kLong, .kv_bytes = OneContext() - 1});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().kind, ErrorKind::kInvalidArgument);
}

class SchedulerWindowTest : public SchedulerRoomTest {
 protected:
  SchedulerWindowTest() : SchedulerRoomTest(Windows()) {}
};

// What a window has moved on from is in the prefix store by then, and comes from there.
TEST_F(SchedulerWindowTest, TheNextTurnIsAsAloneHoweverLongTheAnswerWas) {
  Start(2, {.prefill_tokens = 64}, size_t{8} << 20);
  const Job turn = Request("a", 300, 900);
  const Answer answer = MustSubmit(turn)->Wait();
  EXPECT_EQ(answer, Alone(turn));
  Job next = Request("b", 5, 400);
  next.prompt.insert(next.prompt.begin(), answer.tokens.begin(), answer.tokens.end());
  next.prompt.insert(next.prompt.begin(), turn.prompt.begin(), turn.prompt.end());
  auto recorder = MustSubmit(next);
  EXPECT_EQ(recorder->Wait(), Alone(next));
  EXPECT_EQ(recorder->stats().cached_tokens, 1184u);  // of 300 + 899
}

TEST_F(SchedulerWindowTest, PausesAndAStoreThatIsTooSmallChangeNothing) {
  std::vector<Job> requests;
  for (size_t i = 0; i < 4; ++i) requests.push_back(Request(fmt::format("{}", i), 500 + i, 1400));
  Start(4, {}, size_t{1} << 17, OneContext() * 5 / 3);
  EXPECT_GE(ExpectAllAsAlone(requests), 1u);
}

}  // namespace
}  // namespace lockstep
