// What a request gets does not depend on what others left behind or are doing at the same time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/support/random.h"
#include "tests/support/scheduler_fixture.h"

namespace lockstep {
namespace {

class SchedulerPrefixTest : public SchedulerTest {
 protected:
  explicit SchedulerPrefixTest(const TinyModelOptions& model = {}) : SchedulerTest(model) {}

  // Begins as the others of its family do, for `shared` tokens.
  Job Member(std::string id, size_t family, size_t shared, size_t prompt, size_t max_tokens) {
    Job request = Request(std::move(id), prompt, max_tokens);
    const Job ancestor = Request("", 100 + family, 1);
    std::copy_n(ancestor.prompt.begin(), std::min(shared, prompt), request.prompt.begin());
    return request;
  }
  static Job NextTurn(const Job& turn, const std::vector<int32_t>& answer, Job next) {
    next.prompt.insert(next.prompt.begin(), answer.begin(), answer.end());
    next.prompt.insert(next.prompt.begin(), turn.prompt.begin(), turn.prompt.end());
    return next;
  }
  // At least so many tokens of prompts are reused.
  // Answers three prompts whose first `common` tokens are the same, of `tokens`, one and two more.
  size_t CachedOfThreeAtOnce(size_t common, size_t tokens);
  void InterleaveAtRandom(int rounds, size_t least_reused);
};

// Layers with states, of which the store keeps a few.
class RecurrentPrefixTest : public SchedulerPrefixTest {
 protected:
  RecurrentPrefixTest() : SchedulerPrefixTest(Model()) {}
  static TinyModelOptions Model() {
    TinyModelOptions options;
    options.architecture = "qwen35";
    return options;
  }
};

TEST_F(SchedulerPrefixTest, AWarmPrefixSavesItsTokensAndGivesTheSameBits) {
  Start(2, {}, 1 << 20);
  const Job cold = Member("a", 0, 100, 100, 5), warm = Member("b", 0, 70, 90, 20);
  auto first = MustSubmit(cold);
  EXPECT_EQ(first->Wait(), Alone(cold));
  EXPECT_EQ(first->stats().cached_tokens, 0u);
  EXPECT_EQ(first->stats().prompt_tokens, 100u);
  auto second = MustSubmit(warm);
  EXPECT_EQ(second->Wait(), Alone(warm));
  EXPECT_EQ(second->stats().cached_tokens, 64u);
  EXPECT_EQ(second->stats().generated_tokens, 20u);
  EXPECT_TRUE(warm.progress->begun);
  EXPECT_EQ(warm.progress->read, 90u);
  EXPECT_EQ(warm.progress->cached, 64u);
  auto again = MustSubmit(warm);  // all whole blocks but that of the last token
  EXPECT_EQ(again->Wait(), Alone(warm));
  EXPECT_EQ(again->stats().cached_tokens, 80u);
}

TEST_F(SchedulerPrefixTest, TheNextTurnOfAChatStartsAfterTheAnswer) {
  Start(1, {}, 1 << 20);
  const Job turn = Request("a", 40, 30);
  const Answer answer = MustSubmit(turn)->Wait();
  const Job next = NextTurn(turn, answer.tokens, Request("b", 5, 10));
  auto recorder = MustSubmit(next);
  EXPECT_EQ(recorder->Wait(), Alone(next));
  EXPECT_EQ(recorder->stats().cached_tokens, 64u);  // of 40 + 29: the last one was never read
}

// Of three that come at once with the same first tokens, one computes and two wait for it.
TEST_F(SchedulerPrefixTest, ARunningRequestSharesWhatItHasRead) {
  EXPECT_EQ(CachedOfThreeAtOnce(80, 90), 2 * 80u);
}

// Whoever is cut off while a long prompt is read comes again, and must not begin again.
TEST_F(SchedulerPrefixTest, APromptThatWasReadInPartGoesOnFromThere) {
  Start(1, {.prefill_tokens = 16}, 1 << 20);
  Job request = Request("a", 100, 3);
  const auto cancelled = request.cancelled;
  Job retry = request;
  retry.cancelled = std::make_shared<std::atomic<bool>>(false);
  auto recorder = MustSubmit(request);
  while (request.progress->read < 32) std::this_thread::yield();
  cancelled->store(true);
  const Answer& cut = recorder->Wait();
  const size_t read = request.progress->read;
  auto again = MustSubmit(retry);
  EXPECT_EQ(again->Wait(), Alone(retry));
  EXPECT_TRUE(!cut.error || cut.error->kind == ErrorKind::kCancelled);
  EXPECT_GE(again->stats().cached_tokens, std::min<size_t>(read, 99) / 16 * 16);
}

TEST_F(SchedulerPrefixTest, ScopesKnowNothingOfEachOther) {
  Start(2, {}, 1 << 20);
  Job request = Request("a", 60, 3);
  request.prefix_scope = "one";
  MustSubmit(request)->Wait();
  request.prefix_scope = "two";
  auto other = MustSubmit(request);
  EXPECT_EQ(other->Wait(), Alone(request));
  EXPECT_EQ(other->stats().cached_tokens, 0u);
}

// The end of an answer is no whole block; the states are those after it all the same.
TEST_F(RecurrentPrefixTest, TheNextTurnOfAChatStartsAfterTheAnswer) {
  Start(1, {}, 1 << 20);
  const Job turn = Request("a", 50, 35);
  const Answer answer = MustSubmit(turn)->Wait();
  EXPECT_EQ(answer, Alone(turn));
  const Job next = NextTurn(turn, answer.tokens, Request("b", 5, 10));
  auto recorder = MustSubmit(next);
  EXPECT_EQ(recorder->Wait(), Alone(next));
  EXPECT_EQ(recorder->stats().cached_tokens, 50u + 34u);
}

// A template leaves the thought out of what was answered: the last tokens of the prompt are others.
TEST_F(RecurrentPrefixTest, ARegeneratedOrRewrittenAnswerStartsBeforeTheEndOfThePrompt) {
  Start(1, {}, 1 << 20);
  const Job turn = Request("a", 60, 5);
  MustSubmit(turn)->Wait();
  auto again = MustSubmit(turn);
  EXPECT_EQ(again->Wait(), Alone(turn));
  EXPECT_EQ(again->stats().cached_tokens, 48u);  // of 60 - 8, in whole blocks
  Job opened = turn;
  opened.prompt.resize(opened.prompt.size() - 5);
  const Job next = NextTurn(opened, {3, 4, 5, 6}, Request("b", 20, 10));
  auto recorder = MustSubmit(next);
  EXPECT_EQ(recorder->Wait(), Alone(next));
  EXPECT_EQ(recorder->stats().cached_tokens, 48u);
}

// The second prompt learns where it parts from the first, and the third starts there.
TEST_F(RecurrentPrefixTest, PromptsThatPartInTheMiddleComeToShareWhatTheyHave) {
  Start(1, {}, 1 << 20);
  const size_t expected[] = {0, 0, 64, 64};
  for (size_t i = 0; i < 4; ++i) {
    const Job job = Member(fmt::format("{}", i), 1, 70, 110 + i, 5);
    auto recorder = MustSubmit(job);
    EXPECT_EQ(recorder->Wait(), Alone(job));
    EXPECT_EQ(recorder->stats().cached_tokens, expected[i]) << i;
  }
}

// The one that computes is told of where the others want to go on.
TEST_F(RecurrentPrefixTest, ARunningRequestSharesWhatItHasRead) {
  EXPECT_EQ(CachedOfThreeAtOnce(60, 100), 2 * 48u);
}

// Room for a few states and blocks only.
TEST_F(RecurrentPrefixTest, RandomInterleavingsGiveEachRequestItsOwnAnswer) {
  InterleaveAtRandom(60, 1000);
}

// Families of prompts, cancellations, few sessions, and a store too small for all of it.
TEST_F(SchedulerPrefixTest, TwoHundredRandomInterleavingsGiveEachRequestItsOwnAnswer) {
  InterleaveAtRandom(200, 10'000);
}

size_t SchedulerPrefixTest::CachedOfThreeAtOnce(size_t common, size_t tokens) {
  Start(4, {.prefill_tokens = 16}, 1 << 20);
  Gate gate(*this);
  std::vector<Job> requests;
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (size_t i = 0; i < 3; ++i) {
    requests.push_back(Member(fmt::format("{}", i), 1, common, tokens + i, 5));
    recorders.push_back(MustSubmit(requests.back()));
  }
  gate.Open();
  size_t cached = 0;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(recorders[i]->Wait(), Alone(requests[i]));
    cached += recorders[i]->stats().cached_tokens;
  }
  return cached;
}

void SchedulerPrefixTest::InterleaveAtRandom(int rounds, size_t least_reused) {
  constexpr size_t kKinds = 12;
  std::vector<Job> kinds = Mixed(kKinds);
  std::vector<Answer> alone;
  for (size_t i = 0; i < kKinds; ++i) {
    const Job member = Member("", i % 3, 10 + i * 7, 12 + i * 7, 0);
    if (i % 2 == 0) kinds[i].prompt = member.prompt;
    alone.push_back(Alone(kinds[i]));
  }
  const size_t states = KvCache::StateBytes(transformer_->config());
  const size_t block =
      PrefixStore::kBlock * KvCache::BytesPerPosition(transformer_->config(), KvType::kF16);
  size_t finished = 0, cancelled = 0, reused = 0;
  Random random(4);
  for (int round = 0; round < rounds; ++round) {
    if (round % 10 == 0) {
      SchedulerOptions options;
      options.prefill_tokens = 1 + random.Below(60);
      const size_t bytes = (1 + random.Below(40)) * block;
      Start(1 + random.Below(16), options,
            bytes + (states == 0 ? 0 : states * (1 + random.Below(9))));
    }
    struct Sent {
      size_t kind;
      std::shared_ptr<Recorder> recorder;
      bool leaves;
    };
    std::vector<Sent> all;
    const size_t count = 2 + random.Below(15);
    for (size_t i = 0; i < count; ++i) {
      const size_t kind = random.Below(kKinds);
      Job request = kinds[kind];
      request.id = fmt::format("{}-{}", round, i);
      request.client = fmt::format("{}", random.Below(3));
      request.cancelled = std::make_shared<std::atomic<bool>>(false);
      Sent sent{kind, NewRecorder(), random.Below(4) == 0};
      if (sent.leaves) {
        const size_t at = random.Below(8);
        sent.recorder->on_token = [flag = request.cancelled, at](size_t tokens) {
          if (tokens >= at) *flag = true;
        };
        if (at == 0) *request.cancelled = true;
      }
      ASSERT_TRUE(Submit(std::move(request), sent.recorder));
      all.push_back(std::move(sent));
      if (random.Below(4) == 0) all[random.Below(all.size())].recorder->Wait();
    }
    for (const Sent& sent : all) {
      const Answer& answer = sent.recorder->Wait();
      reused += sent.recorder->stats().cached_tokens;
      if (answer.error) {
        ++cancelled;
        EXPECT_TRUE(sent.leaves && answer.error->kind == ErrorKind::kCancelled);
      } else {
        ++finished;
        EXPECT_EQ(answer, alone[sent.kind]) << "round " << round << ", kind " << sent.kind;
      }
    }
  }
  EXPECT_GT(finished, 5u * static_cast<size_t>(rounds));
  EXPECT_GT(cancelled, static_cast<size_t>(rounds) / 2);
  EXPECT_GT(reused, least_reused);
}

}  // namespace
}  // namespace lockstep
