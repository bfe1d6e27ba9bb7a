// A scheduler over a tiny model, sinks that write down what a request got, and what it gets alone.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/scheduler.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/transformer/model_config.h"
#include "tests/support/random.h"
#include "tests/support/tiny_model.h"

namespace lockstep {

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

inline std::ostream& operator<<(std::ostream& out, const Answer& answer) {
  return out << fmt::format("{} tokens, finish {}, {}", answer.tokens.size(),
                            static_cast<int>(answer.finish),
                            answer.error ? answer.error->message : "no error");
}

class Recorder : public TokenSink {
 public:
  explicit Recorder(const SessionPool& sessions) : sessions_(sessions) {}

  void OnPrompt(PromptLogprobs scores) override {
    EXPECT_TRUE(answer_.tokens.empty());
    EXPECT_FALSE(scores_);
    scores_ = std::move(scores);
  }
  void OnToken(TokenEvent event) override {
    EXPECT_EQ(event.index, answer_.tokens.size());
    answer_.Add(event);
    if (on_token) on_token(answer_.tokens.size());
  }
  void OnFinish(FinishReason reason, const JobStats& stats) override {
    answer_.finish = reason;
    End(stats);
  }
  void OnError(const Error& error, const JobStats& stats) override {
    answer_.error = error;
    End(stats);
  }

  const Answer& Wait() {
    future_.wait();
    return answer_;
  }
  // After Wait.
  const std::optional<PromptLogprobs>& scores() const { return scores_; }
  size_t count() const { return answer_.tokens.size(); }  // for the scheduler's thread
  size_t free_at_end() const { return free_at_end_; }
  const JobStats& stats() const { return stats_; }

  std::function<void(size_t tokens)> on_token;  // called after each token, with their number
  std::function<void()> on_end;

 private:
  void End(const JobStats& stats) {
    stats_ = stats;
    free_at_end_ = sessions_.available();
    if (on_end) on_end();
    ended_.set_value();  // throws if this is not the only last call
  }

  const SessionPool& sessions_;
  Answer answer_;
  std::optional<PromptLogprobs> scores_;
  size_t free_at_end_ = 0;
  JobStats stats_;
  std::promise<void> ended_;
  std::future<void> future_ = ended_.get_future();
};

class SchedulerTest : public testing::Test {
 protected:
  static constexpr size_t kContext = 128;

  // Sessions have so many positions.
  explicit SchedulerTest(const TinyModelOptions& model = {}, size_t context = kContext)
      : SchedulerTest(TinyModel(model), context) {}
  explicit SchedulerTest(std::vector<uint8_t> gguf, size_t context = kContext)
      : context_(context),
        bytes_(std::move(gguf)),
        file_(GgufFile::Parse(bytes_, "tiny").value()),
        tokenizer_(Tokenizer::Create(file_).value()),
        threads_(2) {
    const ModelConfig config = ReadModelConfig(file_).value();
    SetComputeFloatMode();
    transformer_ = std::make_unique<Transformer>(
        config, LoadWeights(file_, config, threads_).value(), *ChooseKernels("auto").kernels);
  }

  // The schedulers that are started from now on have a draft model, with so many caches.
  void DraftBy(const Transformer& transformer, size_t texts, size_t longest_draft) {
    scheduler_.reset();  // before what guesses for it
    draft_model_ = DraftModel::Create(transformer, {.texts = texts,
                                                    .context = transformer.config().context,
                                                    .vocab = transformer_->config().vocab,
                                                    .threads = threads_.threads(),
                                                    .longest_draft = longest_draft})
                       .value();
  }

  // kv_bytes as in SessionPoolOptions.
  void Start(size_t sessions, SchedulerOptions options = {}, size_t prefix_bytes = 0,
             size_t kv_bytes = 0) {
    scheduler_.reset();  // before its sessions and prefixes
    if (prefix_bytes > 0) {
      prefixes_ = PrefixStore::Create(transformer_->config(), prefix_bytes).value();
      options.prefixes = prefixes_.get();
    }
    options.draft_model = draft_model_.get();
    sessions_ = SessionPool::Create(transformer_->config(), tokenizer_,
                                    {.sessions = sessions,
                                     .context = context_,
                                     .kv_bytes = kv_bytes,
                                     .longest_draft = options.longest_draft})
                    .value();
    scheduler_ = std::make_unique<Scheduler>(*transformer_, *sessions_, threads_, options);
  }

  Job Request(std::string id, size_t prompt, size_t max_tokens) {
    Job request;
    request.id = std::move(id);
    Random random(prompt * 1000 + max_tokens);
    request.prompt = {1};
    while (request.prompt.size() < prompt) {
      request.prompt.push_back(static_cast<int32_t>(random.Below(transformer_->config().vocab)));
    }
    request.options.max_tokens = max_tokens;
    request.options.ignore_eos = true;
    request.options.sampling.seed = prompt;
    request.options.sampling.logprobs = 0;
    return request;
  }

  // Requests of many lengths and kinds of sampling.
  std::vector<Job> Mixed(size_t n) {
    std::vector<Job> requests;
    for (size_t i = 0; i < n; ++i) {
      Job request = Request(fmt::format("r{}", i), 1 + i * 11 % 50, 10 + i * 5 % 31);
      SamplingParams& sampling = request.options.sampling;
      sampling.temperature = i % 3 == 0 ? 0.0f : 0.5f + 0.1f * static_cast<float>(i);
      if (i % 4 == 1) sampling.top_k = 0;
      if (i % 4 == 2) sampling.repetition_penalty = 1.3f;
      if (i % 5 == 3) sampling.frequency_penalty = 0.4f;
      if (i % 5 == 4) sampling.logit_bias = {{7, 3.0f}, {9, -100.0f}};
      if (i % 4 == 2) sampling.repeat_last_n = 8;
      if (i % 6 == 1) sampling.dry.multiplier = 0.8f;
      if (i % 7 == 3) sampling.xtc_probability = 0.5f;
      request.options.ignore_eos = i % 4 != 0;
      if (i % 2 == 1) {  // a text over two tokens of its own answer
        const std::vector<std::string> texts = Alone(request).texts;
        if (const std::string stop = texts.at(5) + texts.at(6); !stop.empty()) {
          request.options.stop = {"never that", stop};
        }
      }
      requests.push_back(std::move(request));
    }
    return requests;
  }

  // The reference: one session, one thread, the whole prompt at once, and no drafts; or with drafts
  // of so many tokens, whether they are likely or not, of which `kept` counts those that were
  // right.
  Answer Alone(const Job& request, size_t draft = 0, size_t* kept = nullptr) {
    ThreadPool one(1);
    Scratch scratch(transformer_->config(), context_, 1 + draft, 1);
    InferenceSession session =
        InferenceSession::Create(transformer_->config(), tokenizer_, context_, KvType::kF16, draft)
            .value();
    Answer answer;
    std::vector<std::span<const float>> logits;
    std::vector<TokenEvent> events;
    EXPECT_TRUE(session.Begin(request.prompt, request.options));
    while (!session.finished()) {
      if (session.waits_for_grammar()) {
        EXPECT_FALSE(session.Resume().value());  // without a bound it is done at once
      }
      const BatchEntry entry = session.NextEntry(context_, session.Guess({draft, 0}));
      EXPECT_TRUE(transformer_->Forward({&entry, 1}, scratch, one));
      logits.clear();
      for (size_t i = 0; i < scratch.logit_rows(); ++i) logits.push_back(scratch.logits(i));
      events.clear();
      WorkBudget unbounded;
      EXPECT_TRUE(session.Accept(logits, unbounded, events));
      for (const TokenEvent& event : events) answer.Add(event);
    }
    answer.finish = session.finish_reason();
    if (kept != nullptr) *kept += session.kept_tokens();
    return answer;
  }

  std::shared_ptr<Recorder> NewRecorder() { return std::make_shared<Recorder>(*sessions_); }
  Status Submit(Job request, const std::shared_ptr<Recorder>& recorder) {
    request.sink = recorder;
    return scheduler_->Submit(std::move(request));
  }
  std::shared_ptr<Recorder> MustSubmit(Job request) {
    auto recorder = NewRecorder();
    EXPECT_TRUE(Submit(std::move(request), recorder));
    return recorder;
  }
  // All at once; each must get the answer that it gets alone. The tokens that were guessed.
  size_t ExpectEachAsAlone(const std::vector<Job>& requests) {
    std::vector<std::shared_ptr<Recorder>> recorders;
    recorders.reserve(requests.size());
    for (const Job& request : requests) recorders.push_back(MustSubmit(request));
    size_t drafted = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(recorders[i]->Wait(), Alone(requests[i])) << "request " << i;
      drafted += recorders[i]->stats().drafted_tokens;
    }
    return drafted;
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

  const size_t context_;
  std::vector<uint8_t> bytes_;
  GgufFile file_;
  Tokenizer tokenizer_;
  ThreadPool threads_;
  std::unique_ptr<Transformer> transformer_;
  std::unique_ptr<SessionPool> sessions_;
  std::unique_ptr<PrefixStore> prefixes_;
  std::unique_ptr<DraftModel> draft_model_;
  std::unique_ptr<Scheduler> scheduler_;
};
}  // namespace lockstep
