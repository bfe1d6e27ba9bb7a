#include "core/engine/scheduler.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "tests/support/random.h"
#include "tests/support/scheduler_fixture.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

TEST_F(SchedulerTest, SixteenAtOnceEachGetWhatTheyGetAlone) {
  const std::vector<Job> requests = Mixed(16);
  std::vector<Answer> alone;
  for (const Job& request : requests) alone.push_back(Alone(request));
  std::set<std::vector<int32_t>> different;
  size_t stopped = 0;
  for (const Answer& answer : alone) {
    different.insert(answer.tokens);
    stopped += answer.finish == FinishReason::kStop;
  }
  EXPECT_EQ(different.size(), requests.size());
  EXPECT_GT(stopped, 3u);
  for (const size_t sessions : {16, 3}) {
    for (const size_t budget : {1, 7, 64}) {
      Start(sessions, {.max_queued = 16, .prefill_tokens = budget});
      std::vector<std::shared_ptr<Recorder>> recorders;
      for (const Job& request : requests) recorders.push_back(MustSubmit(request));
      for (size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(recorders[i]->Wait(), alone[i])
            << "request " << i << ", " << sessions << " sessions, budget " << budget;
        EXPECT_GE(recorders[i]->free_at_end(), 1u);
      }
    }
  }
}

TEST_F(SchedulerTest, ASessionIsFreeBeforeTheLastCall) {
  Start(1);
  size_t running = 99;
  auto recorder = NewRecorder();
  recorder->on_end = [&] { running = scheduler_->state().running; };
  ASSERT_TRUE(Submit(Request("a", 5, 3), recorder));
  EXPECT_EQ(recorder->Wait().tokens.size(), 3u);
  EXPECT_EQ(recorder->free_at_end(), 1u);
  EXPECT_EQ(running, 0u);
  EXPECT_GT(recorder->stats().prefill_s, 0);
  EXPECT_GT(recorder->stats().decode_s, 0);
  EXPECT_EQ(MustSubmit(Request("a", 5, 3))->Wait(), recorder->Wait());  // the id is free as well
}

TEST_F(SchedulerTest, ALongPromptDoesNotStallTheStreamsOfOthers) {
  // Without drafts a stream has a token for each step.
  Start(2, {.max_queued = 4, .prefill_tokens = 7, .longest_draft = 0});
  auto stream = NewRecorder(), late = NewRecorder();
  stream->on_token = [&](size_t tokens) {
    if (tokens != 3) return;
    EXPECT_TRUE(Submit(Request("late", 61, 2), late));
  };
  size_t seen = 0;
  late->on_token = [&](size_t tokens) {
    if (tokens == 1) seen = stream->count();
  };
  ASSERT_TRUE(Submit(Request("stream", 4, 40), stream));
  stream->Wait();
  late->Wait();
  EXPECT_EQ(seen, 3u + 9u);  // a token in each of the ceil(61 / 7) steps
}

TEST_F(SchedulerTest, AShortPromptOvertakesALongOneButOnlyWithinTheLengthOfThatOne) {
  Start(8, {.max_queued = 8, .prefill_tokens = 5});
  Gate gate(*this);
  std::vector<int> order;
  std::vector<std::shared_ptr<Recorder>>
      recorders;  // all made here, before the scheduler's thread uses them
  for (int i = 0; i < 5; ++i) {
    recorders.push_back(NewRecorder());
    recorders[i]->on_token = [&order, i](size_t) { order.push_back(i); };
  }
  const auto submit = [&](int i, size_t prompt) {
    ASSERT_TRUE(Submit(Request(fmt::format("{}", i), prompt, 1), recorders[i]));
  };
  recorders[2]->on_token = [&](size_t) {  // 20 tokens were read: 3 comes before 0 and 1, 4 does not
    order.push_back(2);
    submit(3, 21);
    submit(4, 45);
  };
  submit(0, 60);
  submit(1, 50);
  submit(2, 20);
  gate.Open();
  for (size_t i = 0; i < 5; ++i) recorders[i]->Wait();
  EXPECT_THAT(order, ElementsAre(2, 3, 1, 0, 4));
}

TEST_F(SchedulerTest, TheQueueIsBounded) {
  Start(1, {.max_queued = 2});
  Gate gate(*this);
  const auto a = MustSubmit(Request("a", 2, 2)), b = MustSubmit(Request("b", 2, 2));
  auto c = NewRecorder();
  const Status status = Submit(Request("c", 2, 2), c);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kOverloaded);
  EXPECT_EQ(scheduler_->state().queued, 2u);
  EXPECT_EQ(scheduler_->state().running, 1u);
  gate.Open();
  a->Wait();
  b->Wait();
  EXPECT_TRUE(Submit(Request("c", 2, 2), c));  // a refused sink was not called: this is its first
  EXPECT_EQ(c->Wait().tokens.size(), 2u);

  Start(1, {.max_queued = 0});  // no queue: a free session still takes a request
  EXPECT_EQ(MustSubmit(Request("d", 2, 2))->Wait().tokens.size(), 2u);
}

TEST_F(SchedulerTest, TheTokensThatWaitAreBounded) {
  Start(1, {.max_queued = 8, .max_queued_tokens = 50});
  Gate gate(*this);
  const auto longest = MustSubmit(Request("a", 60, 2));  // alone, it may wait
  auto refused = NewRecorder();
  const Status status = Submit(Request("b", 1, 2), refused);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kOverloaded);
  EXPECT_GT(status.error().retry_after_s, 0);
  EXPECT_EQ(scheduler_->state().queued_tokens, 60u);
  gate.Open();
  EXPECT_EQ(longest->Wait().tokens.size(), 2u);
}

TEST_F(SchedulerTest, ABurstOfOneClientNeitherDelaysNorShutsOutTheOthers) {
  Start(1, {.max_queued = 6});
  Gate gate(*this);
  std::vector<std::string> order;
  std::vector<std::shared_ptr<Recorder>> recorders;
  const auto submit = [&](const std::string& client, int number) {
    Job request = Request(fmt::format("{}{}", client, number), 4, 2);
    request.client = client;
    recorders.push_back(NewRecorder());
    recorders.back()->on_token = [&order, id = request.id](size_t tokens) {
      if (tokens == 1) order.push_back(id);
    };
    return Submit(request, recorders.back());
  };
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(submit("busy", i));
  EXPECT_FALSE(submit("busy", 6));
  ASSERT_TRUE(submit("other", 0));  // in the place of busy5
  ASSERT_TRUE(submit("third", 0));  // in the place of busy4
  gate.Open();
  for (const size_t i : {4, 5}) {
    ASSERT_TRUE(recorders[i]->Wait().error);
    EXPECT_EQ(recorders[i]->Wait().error->kind, ErrorKind::kOverloaded);
    EXPECT_GT(recorders[i]->Wait().error->retry_after_s, 0);
  }
  for (const size_t i : {0, 1, 2, 3, 7, 8}) EXPECT_FALSE(recorders[i]->Wait().error);
  EXPECT_THAT(order, ElementsAre("busy0", "other0", "third0", "busy1", "busy2", "busy3"));
}

TEST_F(SchedulerTest, WorkForItsGrammarsCountsInAClientsShare) {
  Start(1, {.max_queued = 6});
  Gate gate(*this);
  std::vector<std::string> order;
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (const char* client : {"schemas", "plain", "plain"}) {
    Job request = Request(fmt::format("{}{}", client, recorders.size()), 4, 2);
    request.client = client;
    // As much as 64 tokens, before it came.
    if (request.client == "schemas") request.grammar_work = uint64_t{1} << 26;
    recorders.push_back(NewRecorder());
    recorders.back()->on_end = [&order, id = request.id] { order.push_back(id); };
    ASSERT_TRUE(Submit(request, recorders.back()));
  }
  gate.Open();
  for (const auto& recorder : recorders) EXPECT_FALSE(recorder->Wait().error);
  EXPECT_THAT(order, ElementsAre("plain1", "plain2", "schemas0"));
}

TEST_F(SchedulerTest, DeadlinesEndRequestsInTheQueueInPrefillAndInDecode) {
  using std::chrono::milliseconds;
  Start(2, {.max_queued = 4, .prefill_tokens = 1});
  auto slow = NewRecorder();  // holds up every step
  slow->on_token = [](size_t) { std::this_thread::sleep_for(milliseconds(5)); };
  Job total = Request("total", 1, 120), first = Request("first", 100, 2),
      queue = Request("queue", 1, 2);
  total.deadlines.total = milliseconds(300);
  first.deadlines.first_token = milliseconds(100);
  queue.deadlines.queue = milliseconds(20);
  ASSERT_TRUE(Submit(total, slow));
  const auto reading = MustSubmit(first), waiting = MustSubmit(queue);
  const auto kind = [](const auto& recorder) {
    const Answer& answer = recorder->Wait();
    return answer.error ? answer.error->kind : ErrorKind::kInternal;
  };
  EXPECT_EQ(kind(waiting), ErrorKind::kUnavailable);
  EXPECT_GT(waiting->Wait().error->retry_after_s, 0);
  EXPECT_EQ(kind(reading), ErrorKind::kDeadlineExceeded);
  EXPECT_EQ(reading->Wait().tokens.size(), 0u);
  EXPECT_EQ(kind(slow), ErrorKind::kDeadlineExceeded);
  EXPECT_GT(slow->Wait().tokens.size(), 1u);
  EXPECT_EQ(sessions_->available(), 2u);
}

TEST_F(SchedulerTest, WhatWasSpentBeforeCountsAndTheErrorNamesTheWholeDeadline) {
  Start(1);
  Job job = Request("late", 1, 100);
  job.deadlines.total = std::chrono::seconds(100);
  job.deadlines.spent = std::chrono::seconds(101);
  const auto recorder = MustSubmit(job);
  const Answer& answer = recorder->Wait();
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->kind, ErrorKind::kDeadlineExceeded);
  EXPECT_EQ(answer.error->message, "the answer was not complete after 100 s; ask for fewer tokens");
}

TEST_F(SchedulerTest, AStepThatDoesNotEndShowsInTheState) {
  Start(1, {.stall_timeout = std::chrono::milliseconds(50)});
  EXPECT_FALSE(scheduler_->state().stalled);
  std::this_thread::sleep_for(std::chrono::milliseconds(80));
  EXPECT_FALSE(scheduler_->state().stalled);  // idling is no stall
  Gate gate(*this);
  std::this_thread::sleep_for(std::chrono::milliseconds(80));
  EXPECT_TRUE(scheduler_->state().stalled);
  gate.Open();
  while (scheduler_->state().running > 0) std::this_thread::yield();
  EXPECT_FALSE(scheduler_->state().stalled);
}

TEST_F(SchedulerTest, AWaitIsPredictedWhileOthersAreBefore) {
  Start(2, {}, 1 << 20);
  EXPECT_EQ(scheduler_->state().predicted_wait_s, 0);
  EXPECT_EQ(scheduler_->state().block_bytes,
            PrefixStore::kBlock * KvCache::BytesPerPosition(transformer_->config(), KvType::kF16));
  std::vector<std::shared_ptr<Recorder>> recorders;
  Gate gate(*this);
  for (int i = 0; i < 3; ++i) recorders.push_back(MustSubmit(Request(fmt::to_string(i), 90, 2)));
  EXPECT_GT(scheduler_->state().predicted_wait_s, 0);
  gate.Open();
  for (const auto& recorder : recorders) recorder->Wait();
  while (scheduler_->state().running > 0) std::this_thread::yield();
  EXPECT_EQ(scheduler_->state().predicted_wait_s, 0);
}

TEST_F(SchedulerTest, TheObserverIsToldOfStepsTokensAndEnds) {
  struct Observer : SchedulerObserver {
    void OnStep(const StepStats& step) override {
      prefill += step.prefill_tokens;
      decode += step.decoding;
    }
    void OnFirstToken(double seconds) override { first += seconds > 0; }
    void OnNextToken(double seconds) override { next += seconds > 0; }
    void OnEnd(const JobStats& stats, FinishReason finish, const Error* error) override {
      EXPECT_EQ(error == nullptr, finish == FinishReason::kLength);
      (error == nullptr ? ended : failed) += 1;
      generated += stats.generated_tokens;
    }
    size_t prefill = 0, decode = 0, first = 0, next = 0, ended = 0, failed = 0, generated = 0;
  } observer;
  Start(2, {.prefill_tokens = 7, .observer = &observer});
  MustSubmit(Request("a", 20, 5))->Wait();
  MustSubmit(Request("b", 9, 3))->Wait();
  Job cancelled = Request("c", 9, 3);
  *cancelled.cancelled = true;
  MustSubmit(cancelled)->Wait();
  scheduler_.reset();
  EXPECT_EQ(observer.prefill, 29u);
  EXPECT_EQ(observer.decode, 4u + 2u);
  EXPECT_EQ(observer.first, 2u);
  EXPECT_EQ(observer.next, 4u + 2u);
  EXPECT_EQ(observer.generated, 5u + 3u);
  EXPECT_EQ(observer.ended, 2u);
  EXPECT_EQ(observer.failed, 1u);
}

TEST_F(SchedulerTest, BadRequestsAreRefusedAtOnce) {
  Start(1);
  auto recorder = NewRecorder();
  const auto kind = [&](const Job& request) {
    const Status status = Submit(request, recorder);
    return status ? ErrorKind::kInternal : status.error().kind;
  };
  Job request = Request("a", 4, 2);
  request.prompt = {};
  EXPECT_EQ(kind(request), ErrorKind::kInvalidArgument);
  request.prompt = {100000};
  EXPECT_EQ(kind(request), ErrorKind::kInvalidArgument);
  request.prompt.assign(kContext, 1);
  EXPECT_EQ(kind(request), ErrorKind::kContextExceeded);
  request.prompt.assign(kContext - 1, 1);
  EXPECT_TRUE(Submit(request, recorder));
  EXPECT_EQ(recorder->Wait().tokens.size(), 1u);
}

TEST_F(SchedulerTest, AnErrorEndsItsRequestOnly) {
  Start(4, {.max_queued = 8, .prefill_tokens = 16});
  const std::vector<Job> good = {Request("g0", 8, 20), Request("g1", 3, 20)};
  Job bad = Request("bad", 5, 20);  // no logit is left
  for (size_t i = 0; i < transformer_->config().vocab; ++i) {
    for (int twice = 0; twice < 2; ++twice) {
      bad.options.sampling.logit_bias.emplace_back(static_cast<int32_t>(i), -3e38f);
    }
  }
  Gate gate(*this);
  const auto g0 = MustSubmit(good[0]), failed = MustSubmit(bad), g1 = MustSubmit(good[1]);
  const auto duplicate = MustSubmit(Request("g1", 30, 5));
  gate.Open();
  EXPECT_EQ(g0->Wait(), Alone(good[0]));
  EXPECT_EQ(g1->Wait(), Alone(good[1]));
  ASSERT_TRUE(failed->Wait().error);
  EXPECT_EQ(failed->Wait().error->kind, ErrorKind::kInternal);
  ASSERT_TRUE(duplicate->Wait().error);
  EXPECT_EQ(duplicate->Wait().error->kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(MustSubmit(good[1])->Wait(), Alone(good[1]));
}

// Requests that a free session is about to take are in the queue, too, but do not wait.
TEST_F(SchedulerTest, AFullQueueSaysWhatItCounts) {
  Start(2, {.max_queued = 3});
  Gate gate(*this);  // has one session; the other is free, and nobody gives it away
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (int i = 0; i < 4; ++i) recorders.push_back(MustSubmit(Request(fmt::to_string(i), 5, 1)));
  const Status refused = Submit(Request("last", 5, 1), NewRecorder());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "the queue is full: 2 of 2 sessions are taken, 3 requests wait for one, and 20 prompt "
            "tokens for being read; try again later");
  gate.Open();
  for (const auto& recorder : recorders) recorder->Wait();
}

// Clients on several threads, some of which go away at a random moment.
TEST_F(SchedulerTest, SurvivesASwarmOfClients) {
  Start(4, {.max_queued = 4, .prefill_tokens = 16});
  const std::vector<Job> kinds = Mixed(6);
  std::vector<Answer> alone;
  for (const Job& request : kinds) alone.push_back(Alone(request));
  std::atomic<int> finished{0}, cancelled{0}, refused{0}, wrong{0};
  const auto client = [&](int number) {
    Random random(number);
    for (int i = 0; i < 30; ++i) {
      const size_t kind = random.Below(kinds.size());
      Job request = kinds[kind];
      request.id = fmt::format("{}-{}", number, i);
      request.cancelled = std::make_shared<std::atomic<bool>>(false);
      const bool leave = random.Below(3) == 0;
      auto recorder = NewRecorder();
      if (!Submit(request, recorder)) {
        ++refused;
        std::this_thread::yield();
        continue;
      }
      if (leave) *request.cancelled = true;
      const Answer& answer = recorder->Wait();
      if (answer.error) {
        ++cancelled;
        wrong += !leave || answer.error->kind != ErrorKind::kCancelled;
      } else {
        ++finished;
        wrong += !(answer == alone[kind]);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(client, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(finished, 0);
  EXPECT_GT(cancelled, 0);
  EXPECT_EQ(finished + cancelled + refused, 8 * 30);
  EXPECT_EQ(scheduler_->state().queued, 0u);
  EXPECT_EQ(scheduler_->state().running, 0u);
  EXPECT_EQ(sessions_->available(), 4u);
}

}  // namespace
}  // namespace lockstep
