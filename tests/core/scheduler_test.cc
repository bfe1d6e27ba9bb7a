#include "core/scheduler.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "core/kernels/cpu_features.h"
#include "core/kernels/dispatch.h"
#include "tests/support/random.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

// What a request got.
struct Answer {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  std::vector<std::string> texts;
  FinishReason finish = FinishReason::kNone;
  std::optional<Error> error;

  bool operator==(const Answer& other) const {
    return tokens == other.tokens && logprobs == other.logprobs && texts == other.texts &&
           finish == other.finish && error.has_value() == other.error.has_value();
  }
  void Add(const TokenEvent& event) {
    tokens.push_back(event.sampled.token);
    logprobs.push_back(event.sampled.logprob);
    texts.push_back(event.text);
  }
};

std::ostream& operator<<(std::ostream& out, const Answer& answer) {
  return out << fmt::format("{} tokens, finish {}, {}", answer.tokens.size(),
                            static_cast<int>(answer.finish),
                            answer.error ? answer.error->message : "no error");
}

class Recorder : public TokenSink {
 public:
  explicit Recorder(const SessionPool& sessions) : sessions_(sessions) {}

  void OnToken(TokenEvent event) override {
    EXPECT_EQ(event.index, answer_.tokens.size());
    answer_.Add(event);
    if (on_token) on_token(answer_.tokens.size());
  }
  void OnFinish(FinishReason reason, const Timings& timings) override {
    answer_.finish = reason;
    End(timings);
  }
  void OnError(const Error& error, const Timings& timings) override {
    answer_.error = error;
    End(timings);
  }

  const Answer& Wait() {
    future_.wait();
    return answer_;
  }
  size_t count() const { return answer_.tokens.size(); }  // for the scheduler's thread
  size_t free_at_end() const { return free_at_end_; }
  const Timings& timings() const { return timings_; }

  std::function<void(size_t tokens)> on_token;  // called after each token, with their number
  std::function<void()> on_end;

 private:
  void End(const Timings& timings) {
    timings_ = timings;
    free_at_end_ = sessions_.available();
    if (on_end) on_end();
    ended_.set_value();  // throws if this is not the only last call
  }

  const SessionPool& sessions_;
  Answer answer_;
  size_t free_at_end_ = 0;
  Timings timings_;
  std::promise<void> ended_;
  std::future<void> future_ = ended_.get_future();
};

class SchedulerTest : public testing::Test {
 protected:
  static constexpr size_t kContext = 128;

  SchedulerTest()
      : bytes_(TinyModel()),
        file_(GgufFile::Parse(bytes_, "tiny").value()),
        tokenizer_(Tokenizer::Create(file_).value()),
        threads_(2) {
    const ModelConfig config = ReadModelConfig(file_).value();
    SetComputeFloatMode();
    transformer_ = std::make_unique<Transformer>(
        config, LoadWeights(file_, config, threads_).value(), *ChooseKernels("auto").kernels);
  }

  void Start(size_t sessions, SchedulerOptions options = {}) {
    scheduler_.reset();  // before its sessions
    sessions_ = SessionPool::Create(transformer_->config(), tokenizer_, sessions, kContext).value();
    scheduler_ = std::make_unique<Scheduler>(*transformer_, *sessions_, threads_, options);
  }

  GenerationRequest Request(std::string id, size_t prompt, size_t max_tokens) {
    GenerationRequest request;
    request.id = std::move(id);
    Random random(prompt * 1000 + max_tokens);
    request.prompt = {1};
    while (request.prompt.size() < prompt) {
      request.prompt.push_back(static_cast<int32_t>(random.Below(transformer_->config().vocab)));
    }
    request.params.max_tokens = max_tokens;
    request.params.ignore_eos = true;
    request.params.sampling.seed = prompt;
    request.params.sampling.logprobs = 0;
    return request;
  }

  // Requests of many lengths and kinds of sampling.
  std::vector<GenerationRequest> Mixed(size_t n) {
    std::vector<GenerationRequest> requests;
    for (size_t i = 0; i < n; ++i) {
      GenerationRequest request = Request(fmt::format("r{}", i), 1 + i * 11 % 50, 10 + i * 5 % 31);
      SamplingParams& sampling = request.params.sampling;
      sampling.temperature = i % 3 == 0 ? 0.0f : 0.5f + 0.1f * static_cast<float>(i);
      if (i % 4 == 1) sampling.top_k = 0;
      if (i % 4 == 2) sampling.repetition_penalty = 1.3f;
      if (i % 5 == 3) sampling.frequency_penalty = 0.4f;
      if (i % 5 == 4) sampling.logit_bias = {{7, 3.0f}, {9, -100.0f}};
      if (i % 2 == 1) request.params.stop = {"e", "q"};
      request.params.ignore_eos = i % 4 != 0;
      requests.push_back(std::move(request));
    }
    return requests;
  }

  // The reference: one session, one thread, the whole prompt at once.
  Answer Alone(const GenerationRequest& request) {
    ThreadPool one(1);
    Scratch scratch(transformer_->config(), kContext, 1);
    InferenceSession session =
        InferenceSession::Create(transformer_->config(), tokenizer_, kContext).value();
    Answer answer;
    EXPECT_TRUE(session.Begin(request.prompt, request.params));
    while (!session.finished()) {
      const BatchEntry entry = session.NextEntry(kContext);
      EXPECT_TRUE(transformer_->Forward({&entry, 1}, scratch, one));
      answer.Add(*session.Accept(scratch.logits(0)).value());
    }
    answer.finish = session.finish_reason();
    return answer;
  }

  std::shared_ptr<Recorder> NewRecorder() { return std::make_shared<Recorder>(*sessions_); }
  Status Submit(GenerationRequest request, const std::shared_ptr<Recorder>& recorder) {
    request.sink = recorder;
    return scheduler_->Submit(std::move(request));
  }
  std::shared_ptr<Recorder> MustSubmit(GenerationRequest request) {
    auto recorder = NewRecorder();
    EXPECT_TRUE(Submit(std::move(request), recorder));
    return recorder;
  }

  // A request that holds the scheduler's thread in its first token until Open.
  class Gate {
   public:
    explicit Gate(SchedulerTest& test) : recorder_(test.NewRecorder()) {
      recorder_->on_token = [this](size_t tokens) {
        if (tokens != 1) return;
        reached_.set_value();
        open_.get_future().wait();
      };
      EXPECT_TRUE(test.Submit(test.Request("gate", 1, 2), recorder_));
      reached_.get_future().wait();
    }
    void Open() { open_.set_value(); }

   private:
    std::promise<void> reached_, open_;
    std::shared_ptr<Recorder> recorder_;
  };

  std::vector<uint8_t> bytes_;
  GgufFile file_;
  Tokenizer tokenizer_;
  ThreadPool threads_;
  std::unique_ptr<Transformer> transformer_;
  std::unique_ptr<SessionPool> sessions_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, SixteenAtOnceEachGetWhatTheyGetAlone) {
  const std::vector<GenerationRequest> requests = Mixed(16);
  std::vector<Answer> alone;
  for (const GenerationRequest& request : requests) alone.push_back(Alone(request));
  std::set<std::vector<int32_t>> different;
  size_t stopped = 0;
  for (const Answer& answer : alone) {
    different.insert(answer.tokens);
    stopped += answer.finish == FinishReason::kStop;
  }
  EXPECT_EQ(different.size(), requests.size());
  EXPECT_GT(stopped, 0u);
  for (const size_t sessions : {16, 3}) {
    for (const size_t budget : {1, 7, 64}) {
      Start(sessions, {.max_queued = 16, .prefill_tokens = budget});
      std::vector<std::shared_ptr<Recorder>> recorders;
      for (const GenerationRequest& request : requests) recorders.push_back(MustSubmit(request));
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
  EXPECT_GT(recorder->timings().prefill_s, 0);
  EXPECT_GT(recorder->timings().decode_s, 0);
  EXPECT_EQ(MustSubmit(Request("a", 5, 3))->Wait(), recorder->Wait());  // the id is free as well
}

TEST_F(SchedulerTest, ALongPromptDoesNotStallTheStreamsOfOthers) {
  Start(2, {.max_queued = 4, .prefill_tokens = 7});
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

TEST_F(SchedulerTest, PromptsAreReadFirstComeFirstServed) {
  Start(4, {.max_queued = 8, .prefill_tokens = 5});
  Gate gate(*this);
  std::vector<int> order;
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (int i = 0; i < 6; ++i) {  // more than there are sessions, the longest first
    recorders.push_back(NewRecorder());
    recorders.back()->on_token = [&order, i](size_t tokens) {
      if (tokens == 1) order.push_back(i);
    };
    ASSERT_TRUE(Submit(Request(fmt::format("{}", i), 60 - i * 9, 1), recorders.back()));
  }
  gate.Open();
  for (const auto& recorder : recorders) recorder->Wait();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4, 5));
}

// A victim is cancelled in each stage of its life; its neighbours' bits stay as they are.
class SchedulerCancelTest : public SchedulerTest {
 protected:
  // Neighbours run; the first of them cancels the victim when it has `after` tokens.
  Answer Cancel(size_t sessions, GenerationRequest victim, size_t after) {
    Start(sessions, {.max_queued = 4, .prefill_tokens = 3});
    const std::vector<GenerationRequest> neighbours = {Request("n0", 3, 40), Request("n1", 9, 30)};
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
  const GenerationRequest victim = Request("victim", 2, 100);
  const Answer answer = Cancel(3, victim, 20);
  const std::vector<int32_t> alone = Alone(victim).tokens;
  ASSERT_GT(answer.tokens.size(), 2u);
  EXPECT_LT(answer.tokens.size(), 20u);
  EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(), alone.begin()));
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

TEST_F(SchedulerTest, BadRequestsAreRefusedAtOnce) {
  Start(1);
  auto recorder = NewRecorder();
  const auto kind = [&](const GenerationRequest& request) {
    const Status status = Submit(request, recorder);
    return status ? ErrorKind::kInternal : status.error().kind;
  };
  GenerationRequest request = Request("a", 4, 2);
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
  const std::vector<GenerationRequest> good = {Request("g0", 8, 20), Request("g1", 3, 20)};
  GenerationRequest bad = Request("bad", 5, 20);  // no logit is left
  for (size_t i = 0; i < transformer_->config().vocab; ++i) {
    for (int twice = 0; twice < 2; ++twice) {
      bad.params.sampling.logit_bias.emplace_back(static_cast<int32_t>(i), -3e38f);
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

TEST_F(SchedulerTest, DrainLetsRequestsFinishAndRefusesNewOnes) {
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

TEST_F(SchedulerTest, DrainEndsWhatIsLeftAfterTheTimeout) {
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

TEST_F(SchedulerTest, DestructionEndsEveryRequest) {
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

// Clients on several threads, some of which go away at a random moment.
TEST_F(SchedulerTest, SurvivesASwarmOfClients) {
  Start(4, {.max_queued = 4, .prefill_tokens = 16});
  const std::vector<GenerationRequest> kinds = Mixed(6);
  std::vector<Answer> alone;
  for (const GenerationRequest& request : kinds) alone.push_back(Alone(request));
  std::atomic<int> finished{0}, cancelled{0}, refused{0}, wrong{0};
  const auto client = [&](int number) {
    Random random(number);
    for (int i = 0; i < 30; ++i) {
      const size_t kind = random.Below(kinds.size());
      GenerationRequest request = kinds[kind];
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
