// Texts through the scheduler: their vectors have the bits that each has alone, whoever else sends
// what, a query waits for one step at most, and every job ends exactly once.
#include "core/engine/encode_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>

#include "tests/support/transformer_fixture.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

using Texts = std::vector<std::vector<int32_t>>;

class Recorder : public EncodeSink {
 public:
  void OnVector(size_t text, std::span<const float> vector) override {
    EXPECT_TRUE(vectors.emplace(text, std::vector<float>(vector.begin(), vector.end())).second);
    if (on_vector) on_vector(vectors.size());
  }
  void OnFinish(const EncodeStats& took) override { End(took); }
  void OnError(const Error& why, const EncodeStats& took) override {
    error = why;
    End(took);
  }
  void Wait() { future_.wait(); }
  bool ended() const { return future_.wait_for(milliseconds(0)) == std::future_status::ready; }
  Logits InOrder() {
    Wait();
    Logits all;
    for (const auto& [text, vector] : vectors) all.push_back(vector);
    return all;
  }

  std::map<size_t, std::vector<float>> vectors;
  std::optional<Error> error;
  EncodeStats stats;
  std::function<void(size_t vectors)> on_vector;  // on the scheduler's thread
  std::function<void()> on_end;

 private:
  void End(const EncodeStats& took) {
    stats = took;
    if (on_end) on_end();
    ended_.set_value();  // throws if this is not the only last call
  }
  std::promise<void> ended_;
  std::future<void> future_ = ended_.get_future();
};

class TokenRecorder : public Recorder {
 public:
  void OnVector(size_t text, std::span<const float> vector) override {
    tokens[text].emplace_back(vector.begin(), vector.end());
  }
  std::map<size_t, Logits> tokens;
};

class CountingObserver : public EncodeObserver {
 public:
  void OnEncodeStep(size_t step_texts, size_t step_tokens, double) override {
    texts += step_texts, tokens += step_tokens;
  }
  void OnEncodeEnd(const EncodeStats&, const Error* error) override {
    ++(error == nullptr ? finished : failed);
  }
  std::atomic<size_t> texts{0}, tokens{0}, finished{0}, failed{0};
};

class EncodeSchedulerTest : public testing::Test {
 protected:
  void Start(EncodeOptions options, size_t threads = 2) {
    scheduler_.reset();
    pool_ = std::make_unique<ThreadPool>(threads);
    options.observer = &observer_;
    scheduler_ = std::make_unique<EncodeScheduler>(*model_.transformer, *pool_, options);
  }
  Texts SomeTexts(std::initializer_list<size_t> lengths, uint64_t seed = 0) {
    Texts texts;
    for (const size_t length : lengths) texts.push_back(model_.Tokens(length, length + seed));
    return texts;
  }
  static EncodeJob Job(Texts texts, std::string client = "client") {
    EncodeJob job;
    job.client = std::move(client);
    job.texts = std::move(texts);
    return job;
  }
  Status Submit(EncodeJob job, const std::shared_ptr<Recorder>& recorder) {
    job.sink = recorder;
    return scheduler_->Submit(std::move(job));
  }
  std::shared_ptr<Recorder> MustSubmit(EncodeJob job) {
    auto recorder = std::make_shared<Recorder>();
    EXPECT_TRUE(Submit(std::move(job), recorder));
    return recorder;
  }
  Logits Alone(const Texts& texts, const std::vector<size_t>& seconds = {}) {
    Scratch scratch(model_.config, 128, 1, 1);
    ThreadPool pool(1);
    Logits vectors;
    for (size_t i = 0; i < texts.size(); ++i) {
      const EncoderText whole{texts[i], seconds.empty() ? SIZE_MAX : seconds[i]};
      EXPECT_TRUE(model_.transformer->Encode({&whole, 1}, scratch, pool));
      Append(scratch, vectors);
    }
    return vectors;
  }

  // Holds the scheduler's thread in a vector of its own until Open.
  class Gate {
   public:
    explicit Gate(EncodeSchedulerTest& test, const std::string& client = "gate") {
      recorder_->on_vector = [this](size_t) {
        reached_.set_value();
        open_.get_future().wait();
      };
      EXPECT_TRUE(test.Submit(Job(test.SomeTexts({1}), client), recorder_));
      reached_.get_future().wait();
    }
    void Open() {
      open_.set_value();
      recorder_->Wait();
    }

   private:
    std::promise<void> reached_, open_;
    std::shared_ptr<Recorder> recorder_ = std::make_shared<Recorder>();
  };

  TestModel model_{TinyBert()};
  CountingObserver observer_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<EncodeScheduler> scheduler_;
};

TEST_F(EncodeSchedulerTest, PairsKeepWhereTheirSecondTextsBegin) {
  const Texts pairs = SomeTexts({5, 17, 40, 9});
  const std::vector<size_t> seconds = {2, 9, SIZE_MAX, 1};
  Start({.context = 128, .step_tokens = 50});
  EncodeJob job = Job(pairs);
  job.seconds = seconds;
  const Logits vectors = MustSubmit(std::move(job))->InOrder();
  ExpectSameBits(vectors, Alone(pairs, seconds), "pairs");
  // The model has a type for each of the two.
  EXPECT_NE(vectors[0], Alone(pairs)[0]);
  EXPECT_EQ(vectors[2], Alone(pairs)[2]);
}

TEST_F(EncodeSchedulerTest, EachTokenHasTheVectorThatItHasAlone) {
  const Texts texts = SomeTexts({5, 17, 40, 1});
  Start({.context = 128, .step_tokens = 30});
  const auto recorder = std::make_shared<TokenRecorder>();
  EncodeJob job = Job(texts);
  job.form = TextForm::kTokens;
  ASSERT_TRUE(Submit(std::move(job), recorder));
  recorder->Wait();
  ASSERT_EQ(recorder->tokens.size(), texts.size());
  Scratch scratch(model_.config, 128, 1, 1);
  ThreadPool pool(1);
  for (size_t i = 0; i < texts.size(); ++i) {
    const EncoderText text{texts[i]};
    ASSERT_TRUE(model_.transformer->Encode({&text, 1}, scratch, pool));
    Logits alone;
    for (size_t t = 0; t < texts[i].size(); ++t) {
      const std::span<const float> vector = scratch.token_vector(0, t);
      alone.emplace_back(vector.begin(), vector.end());
    }
    ExpectSameBits(recorder->tokens[i], alone, "tokens");
  }
}

TEST_F(EncodeSchedulerTest, VectorsHaveTheBitsThatEachTextHasAlone) {
  const Texts many = SomeTexts({5, 1, 17, 65, 40, 128, 3, 64, 2, 31});
  const Texts few = SomeTexts({9, 70}, 7);
  const Logits many_alone = Alone(many), few_alone = Alone(few);
  for (const size_t threads : {1, 3}) {
    for (const size_t step_tokens : {1, 50, 512}) {
      Start({.context = 128, .step_tokens = step_tokens}, threads);
      const auto a = MustSubmit(Job(many, "a")), b = MustSubmit(Job(few, "b"));
      ExpectSameBits(a->InOrder(), many_alone, "many");
      ExpectSameBits(b->InOrder(), few_alone, "few");
      EXPECT_FALSE(a->error || b->error);
      EXPECT_EQ(a->stats.tokens, 356u);
      EXPECT_EQ(b->stats.texts, 2u);
    }
  }
  EXPECT_TRUE(scheduler_->Drain(std::chrono::seconds(10)));  // the observer hears of an end last
  EXPECT_EQ(observer_.texts, 6 * 12u);
  EXPECT_EQ(observer_.tokens, 6 * (356 + 79u));
  EXPECT_EQ(observer_.finished, 12u);
}

// However large a batch is, a query is in the next step: of another client, and of the same one.
TEST_F(EncodeSchedulerTest, AQueryWaitsForOneStepAtMost) {
  for (const char* client : {"other", "batch"}) {
    Start({.context = 128, .step_tokens = 32});
    Gate gate(*this);
    Texts texts;
    for (size_t i = 0; i < 200; ++i) texts.push_back(model_.Tokens(30, i));
    const auto batch = std::make_shared<Recorder>(), query = std::make_shared<Recorder>();
    std::optional<size_t> made_before;
    batch->on_vector = [&](size_t made) {
      if (made != 3) return;
      EXPECT_TRUE(Submit(Job({model_.Tokens(4)}, client), query));
    };
    query->on_end = [&] { made_before = batch->vectors.size(); };
    ASSERT_TRUE(Submit(Job(texts, "batch"), batch));
    gate.Open();
    batch->Wait();
    query->Wait();
    EXPECT_LE(made_before.value(), 3 + 1u) << client;  // those of its own step
    EXPECT_EQ(batch->vectors.size(), 200u);
  }
}

// Two clients with a batch each get equal shares, whoever came first.
TEST_F(EncodeSchedulerTest, ClientsGetEqualShares) {
  Start({.context = 128, .step_tokens = 16});
  Gate gate(*this);
  const Texts texts(60, model_.Tokens(15));
  const auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  size_t of_first = 0;
  second->on_end = [&] { of_first = first->vectors.size(); };
  ASSERT_TRUE(Submit(Job(texts, "first"), first));
  ASSERT_TRUE(Submit(Job(Texts(texts.begin(), texts.begin() + 20), "second"), second));
  gate.Open();
  first->Wait();
  second->Wait();
  EXPECT_NEAR(static_cast<double>(of_first), 20, 2);
}

TEST_F(EncodeSchedulerTest, RefusesWhatCannotBeEncoded) {
  Start({.context = 20});
  const auto error = [&](const Texts& texts) {
    const Status status = Submit(Job(texts), std::make_shared<Recorder>());
    return status ? std::string() : status.error().message;
  };
  EXPECT_THAT(error({}), HasSubstr("no text"));
  EXPECT_THAT(error({{1}, {}}), HasSubstr("without tokens"));
  EXPECT_THAT(error({{1}, {2, -1}}), HasSubstr("token -1 is outside"));
  EXPECT_THAT(error({model_.Tokens(21)}), HasSubstr("21 tokens, which is more than the context"));
  EXPECT_EQ(Submit(Job({model_.Tokens(21)}), nullptr).error().kind, ErrorKind::kContextExceeded);
  EXPECT_EQ(error({model_.Tokens(20)}), "");
}

TEST_F(EncodeSchedulerTest, AFullQueueRefusesAndABurstShutsOutItself) {
  Start({.context = 128, .max_jobs = 3, .max_queued_tokens = 100});
  Gate gate(*this);  // what has begun is not in the queue
  const auto a1 = MustSubmit(Job(SomeTexts({90}), "a"));
  // More tokens than may wait.
  const Status full = Submit(Job(SomeTexts({11}), "a"), std::make_shared<Recorder>());
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::kOverloaded);
  EXPECT_GT(full.error().retry_after_s, 0);
  const auto a2 = MustSubmit(Job(SomeTexts({5}), "a")), a3 = MustSubmit(Job(SomeTexts({5}), "a"));
  EXPECT_EQ(scheduler_->state().queued, 3u);
  EXPECT_EQ(scheduler_->state().queued_tokens, 100u);
  EXPECT_EQ(scheduler_->state().running, 1u);
  const auto b1 = MustSubmit(Job(SomeTexts({4}), "b"));  // in the place of a3
  EXPECT_FALSE(Submit(Job(SomeTexts({4}), "b"), std::make_shared<Recorder>()));
  gate.Open();
  a3->Wait();
  ASSERT_TRUE(a3->error);
  EXPECT_EQ(a3->error->kind, ErrorKind::kOverloaded);
  for (const auto& taken : {a1, a2, b1}) {
    taken->Wait();
    EXPECT_FALSE(taken->error);
  }
}

// Whoever has the scheduler work on as many jobs as may wait takes nobody's place.
TEST_F(EncodeSchedulerTest, JobsThatHaveBegunTakeNoPlaceInTheQueue) {
  Start({.context = 128, .step_tokens = 16, .max_jobs = 2});
  std::vector<std::shared_ptr<Recorder>> begun;
  std::promise<void> all, open;
  size_t reached = 0;
  // Each submits the next from within a step, which is shorter and overtakes those before it.
  const auto batch = [&](size_t i) { return Job(Texts(80 >> i, model_.Tokens(15)), "a"); };
  for (size_t i = 0; i < 4; ++i) begun.push_back(std::make_shared<Recorder>());
  for (size_t i = 0; i < 4; ++i) {
    begun[i]->on_vector = [&, i](size_t made) {
      if (made != 1) return;
      if (i + 1 < 4) {
        EXPECT_TRUE(Submit(batch(i + 1), begun[i + 1]));
      }
      if (++reached < 4) return;
      all.set_value();
      open.get_future().wait();
    };
  }
  ASSERT_TRUE(Submit(batch(0), begun[0]));
  all.get_future().wait();
  const size_t running = scheduler_->state().running;
  const auto other = std::make_shared<Recorder>();
  EXPECT_TRUE(Submit(Job(SomeTexts({4}), "b"), other));
  open.set_value();
  EXPECT_GT(running, 2u);
  other->Wait();
  EXPECT_FALSE(other->error);
  for (const auto& job : begun) {
    job->Wait();
    EXPECT_FALSE(job->error);
  }
}

TEST_F(EncodeSchedulerTest, CancelledAndExpiredJobsEndWithinAStep) {
  Start({.context = 128, .step_tokens = 16});
  const auto batch = std::make_shared<Recorder>();
  EncodeJob job = Job(Texts(500, model_.Tokens(15)));
  const auto cancelled = job.cancelled;
  batch->on_vector = [&](size_t made) {
    if (made == 5) *cancelled = true;
  };
  ASSERT_TRUE(Submit(std::move(job), batch));
  batch->Wait();
  ASSERT_TRUE(batch->error);
  EXPECT_EQ(batch->error->kind, ErrorKind::kCancelled);
  EXPECT_LE(batch->vectors.size(), 6u);

  const auto late = std::make_shared<Recorder>();
  EncodeJob slow = Job(Texts(500, model_.Tokens(15)));
  slow.deadlines.total = milliseconds(20);
  late->on_vector = [](size_t) { std::this_thread::sleep_for(milliseconds(2)); };
  ASSERT_TRUE(Submit(std::move(slow), late));
  late->Wait();
  ASSERT_TRUE(late->error);
  EXPECT_EQ(late->error->kind, ErrorKind::kDeadlineExceeded);

  EncodeJob spent = Job(Texts(500, model_.Tokens(15)));
  spent.deadlines.total = std::chrono::seconds(100);
  spent.deadlines.spent = std::chrono::seconds(101);
  const auto too_late = MustSubmit(std::move(spent));
  too_late->Wait();
  ASSERT_TRUE(too_late->error);
  EXPECT_EQ(too_late->error->message,
            "the vectors were not complete after 100 s; send fewer texts");

  Gate gate(*this);
  EncodeJob waits = Job(SomeTexts({3}));
  waits.deadlines.queue = milliseconds(1);
  const auto queued = MustSubmit(std::move(waits));
  std::this_thread::sleep_for(milliseconds(5));
  gate.Open();
  queued->Wait();
  ASSERT_TRUE(queued->error);
  EXPECT_EQ(queued->error->kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(scheduler_->Drain(std::chrono::seconds(10)));  // the observer hears of an end last
  EXPECT_EQ(observer_.failed, 4u);
  EXPECT_EQ(scheduler_->state().queued_tokens, 0u);
  EXPECT_EQ(scheduler_->state().predicted_wait_s, 0);
}

TEST_F(EncodeSchedulerTest, DrainsAndThenRefuses) {
  Start({.context = 128});
  const auto job = MustSubmit(Job(Texts(50, model_.Tokens(15))));
  scheduler_->AnnounceDrain();
  EXPECT_TRUE(scheduler_->state().draining);
  const auto after = MustSubmit(Job(SomeTexts({4})));
  EXPECT_TRUE(scheduler_->Drain(std::chrono::seconds(10)));
  EXPECT_TRUE(job->ended() && !job->error);
  EXPECT_TRUE(after->ended() && !after->error);
  const Status refused = Submit(Job(SomeTexts({4})), std::make_shared<Recorder>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
}

TEST_F(EncodeSchedulerTest, WhatIsLeftAtTheEndIsToldSo) {
  Start({.context = 128, .step_tokens = 16});
  const auto job = std::make_shared<Recorder>();
  job->on_vector = [](size_t) { std::this_thread::sleep_for(milliseconds(2)); };
  ASSERT_TRUE(Submit(Job(Texts(500, model_.Tokens(15))), job));
  EXPECT_FALSE(scheduler_->Drain(milliseconds(5)));
  ASSERT_TRUE(job->ended());
  EXPECT_EQ(job->error.value().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace lockstep
