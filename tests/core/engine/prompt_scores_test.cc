// The bits of a prompt's logprobs are those of the logits of the whole prompt, whatever else was in
// the steps.
#include "core/engine/prompt_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "tests/support/scheduler_fixture.h"
#include "tests/support/testable_kernels.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

bool Same(const PromptLogprobs& a, const PromptLogprobs& b) {
  const auto same = [](const TokenLogprob& x, const TokenLogprob& y) {
    return x.token == y.token && x.logprob == y.logprob;
  };
  return a.width == b.width && a.ranks == b.ranks && std::ranges::equal(a.tokens, b.tokens, same) &&
         std::ranges::equal(a.top, b.top, same);
}

TEST(PromptScoresTest, EachTokenIsScoredByTheLogitsBeforeIt) {
  const std::vector<int32_t> prompt = {2, 0, 1};
  PromptScores scores;
  scores.Begin(prompt, 2, 3);
  const std::vector<float> first = {1, 3, 2},
                           second = {0, 0, -std::numeric_limits<float>::infinity()};
  scores.Score(1, second);
  scores.Score(0, first);
  EXPECT_TRUE(scores.finite());
  const PromptLogprobs got = scores.Take();
  ASSERT_EQ(got.tokens.size(), 2u);
  EXPECT_EQ(got.tokens[0].token, 0);
  EXPECT_EQ(got.tokens[0].logprob, LogSoftmax(first)[0]);
  EXPECT_EQ(got.tokens[1].logprob, LogSoftmax(second)[1]);
  EXPECT_THAT(got.ranks, ElementsAre(3u, 2u));
  EXPECT_EQ(got.Top(0)[0].token, 1);
  EXPECT_EQ(got.Top(0)[1].token, 2);
  EXPECT_EQ(got.Top(1)[1].token, 1);
}

TEST(PromptScoresTest, MoreThanThePossibleTokensRepeatTheLast) {
  const std::vector<int32_t> prompt = {2, 0};
  PromptScores scores;
  scores.Begin(prompt, 9, 3);
  const float never = -std::numeric_limits<float>::infinity();
  scores.Score(0, std::vector<float>{1, never, never});
  const PromptLogprobs got = scores.Take();
  EXPECT_EQ(got.width, 3u);
  EXPECT_EQ(got.Top(0)[2].token, 0);
}

TEST(PromptScoresTest, ARowWithoutANumberIsNoScore) {
  const std::vector<int32_t> prompt = {2, 0};
  PromptScores scores;
  scores.Begin(prompt, 1, 2);
  scores.Score(0, std::vector<float>(2, std::numeric_limits<float>::quiet_NaN()));
  EXPECT_FALSE(scores.finite());
}

class PromptScoringTest : public SchedulerTest {
 protected:
  explicit PromptScoringTest(const TinyModelOptions& model = {}) : SchedulerTest(model) {}

  Job Scored(size_t prompt, size_t max_tokens, int32_t top = 3) {
    Job job = Request("s" + std::to_string(prompt), prompt, max_tokens);
    job.options.prompt_logprobs = top;
    return job;
  }
  // By the logits of one forward pass over the whole prompt.
  PromptLogprobs Reference(const Job& job, const Transformer& transformer) {
    ThreadPool one(1);
    Scratch scratch(transformer.config(), context_, context_, 1);
    KvCache kv = KvCache::Create(transformer.config(), context_, KvType::kF16).value();
    const BatchEntry entry = {&kv, job.prompt, LogitRows::kAll};
    EXPECT_TRUE(transformer.Forward({&entry, 1}, scratch, one));
    PromptScores scores;
    scores.Begin(job.prompt, static_cast<size_t>(job.options.prompt_logprobs),
                 transformer.config().vocab);
    for (size_t i = 0; i + 1 < job.prompt.size(); ++i) scores.Score(i, scratch.logits(i));
    return scores.Take();
  }
  PromptLogprobs Reference(const Job& job) { return Reference(job, *transformer_); }

  void ScoreBesideOthers(const SchedulerOptions& options, size_t prefix_bytes,
                         size_t kv_bytes = 0) {
    Start(3, options, prefix_bytes, kv_bytes);
    std::vector<Job> jobs;
    std::vector<std::shared_ptr<Recorder>> recorders;
    for (size_t i = 0; i < 10; ++i) {
      jobs.push_back(i % 3 == 1 ? Request("r" + std::to_string(i), 20 + 7 * i, 9)
                                : Scored(1 + 13 * i % 100, i % 3, static_cast<int32_t>(i % 4)));
    }
    // The same prompt again, of which the prefix store has all.
    jobs.push_back(jobs[5]);
    jobs.back().id = "again";
    for (const Job& job : jobs) recorders.push_back(MustSubmit(job));
    for (size_t i = 0; i < jobs.size(); ++i) {
      const Answer& answer = recorders[i]->Wait();
      ASSERT_FALSE(answer.error) << answer.error->message;
      EXPECT_EQ(answer.finish, FinishReason::kLength);
      EXPECT_EQ(answer.tokens.size(), jobs[i].options.max_tokens);
      if (jobs[i].options.max_tokens > 0) {
        Job plain = jobs[i];
        plain.options.prompt_logprobs = -1;
        EXPECT_EQ(answer, Alone(plain));
      }
      ASSERT_EQ(recorders[i]->scores().has_value(), jobs[i].options.prompt_logprobs >= 0) << i;
      if (recorders[i]->scores()) {
        EXPECT_TRUE(Same(*recorders[i]->scores(), Reference(jobs[i]))) << i;
        EXPECT_EQ(recorders[i]->stats().cached_tokens, 0u);
      }
    }
  }
};

class RecurrentScoringTest : public PromptScoringTest {
 protected:
  RecurrentScoringTest() : PromptScoringTest(Model()) {}
  static TinyModelOptions Model() {
    TinyModelOptions options;
    options.architecture = "qwen35";
    return options;
  }
};

TEST_F(PromptScoringTest, BatchesChunksAndPrefixesChangeNoBit) {
  for (const size_t prefill : {1, 7, 512}) {
    for (const size_t draft : {0, 16}) {
      for (const size_t prefix : {0, 1 << 20}) {
        SchedulerOptions options;
        options.prefill_tokens = prefill;
        options.longest_draft = draft;
        SCOPED_TRACE(testing::Message() << prefill << " " << draft << " " << prefix);
        ScoreBesideOthers(options, prefix);
      }
    }
  }
}

TEST_F(PromptScoringTest, APauseWhileThePromptIsReadChangesNoBit) {
  const size_t position = KvCache::BytesPerPosition(transformer_->config(), KvType::kF16);
  ScoreBesideOthers({}, 0, 2 * kContext * position);
}

TEST_F(RecurrentScoringTest, BatchesAndPrefixesChangeNoBit) {
  ScoreBesideOthers({}, 0);
  ScoreBesideOthers({}, 1 << 20);
}

TEST_F(PromptScoringTest, InstructionSetsAndThreadsChangeNoBit) {
  const Job job = Scored(100, 0);
  const PromptLogprobs first = Reference(job);
  const ModelConfig config = ReadModelConfig(file_).value();
  for (const KernelTable* kernels : TestableKernels()) {
    const Transformer other(config, LoadWeights(file_, config, threads_).value(), *kernels);
    EXPECT_TRUE(Same(first, Reference(job, other))) << kernels->isa;
  }
  for (const size_t threads : {1, 3}) {
    ThreadPool pool(threads);
    Start(1);
    Scheduler scheduler(*transformer_, *sessions_, pool, {});
    auto recorder = NewRecorder();
    Job asked = job;
    asked.sink = recorder;
    ASSERT_TRUE(scheduler.Submit(std::move(asked)));
    recorder->Wait();
    ASSERT_TRUE(recorder->scores());
    EXPECT_TRUE(Same(first, *recorder->scores()));
  }
}

TEST_F(PromptScoringTest, APromptAloneMayFillTheContext) {
  Start(1);
  const Job job = Scored(kContext, 0);
  auto recorder = MustSubmit(job);
  EXPECT_EQ(recorder->Wait().finish, FinishReason::kLength);
  EXPECT_TRUE(Same(*recorder->scores(), Reference(job)));
  EXPECT_EQ(Submit(Scored(kContext, 1), NewRecorder()).error().kind, ErrorKind::kContextExceeded);
}

}  // namespace
}  // namespace lockstep
