// Drafts change when tokens come, and no bit of them: every kind of sampling, of ending and of
// grammar gives with drafts what it gives without.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/scheduler_fixture.h"
#include "tests/support/transformer_fixture.h"

namespace lockstep {
namespace {

class SpeculationTest : public SchedulerTest, public ::testing::WithParamInterface<const char*> {
 protected:
  SpeculationTest() : SchedulerTest({.architecture = GetParam()}) {}

  // Answers of few different tokens, in which something seems to come again all the time, and
  // sometimes does.
  Job Repetitive(uint64_t seed) {
    Job request = Request("r" + std::to_string(seed), 3 + seed % 40, 5 + seed % 60);
    GenerationOptions& options = request.options;
    SamplingParams& sampling = options.sampling;
    constexpr float kTemperatures[] = {0, 0.7f, 1.5f};
    sampling.seed = seed;
    sampling.temperature = kTemperatures[seed % 3];
    sampling.logprobs = static_cast<int32_t>(seed % 4) - 1;
    for (int32_t i = 0; i < 4; ++i) {
      sampling.logit_bias.emplace_back(tokenizer_.eos() + 'a' + i + 1, 50.0f);
    }
    if (seed % 5 == 0) sampling.repetition_penalty = 1.2f;
    if (seed % 5 == 1) sampling.presence_penalty = 0.3f, sampling.frequency_penalty = 0.1f;
    if (seed % 7 == 0) sampling.top_k = 0, sampling.top_p = 1;
    if (seed % 4 == 2) {
      options.stop = {Alone(request).texts.back() + "a", "bdb"};
      options.ignore_eos = false;
    }
    if (seed % 4 == 3) {
      if (!vocabulary_) vocabulary_ = GrammarVocabulary::Create(tokenizer_);
      options.grammar = std::make_shared<TokenGrammar>(
          ParseGbnf("root ::= ([ab]{2} [abc]{1,3} \"abca\"?){2,9}").value(), vocabulary_);
      options.ignore_eos = false;
    }
    return request;
  }

  std::shared_ptr<const GrammarVocabulary> vocabulary_;
};

TEST_P(SpeculationTest, ASessionGivesTheSameWithDraftsOfEveryLength) {
  for (const size_t draft : {1, 2, 5, 16}) {
    size_t kept = 0, tokens = 0;
    for (uint64_t seed = 1; seed <= 100; ++seed) {
      const Job request = Repetitive(seed);
      const Answer answer = Alone(request, draft, &kept);
      EXPECT_EQ(answer, Alone(request)) << "seed " << seed << ", drafts of " << draft;
      tokens += answer.tokens.size();
    }
    EXPECT_GT(kept, tokens / 20);
    EXPECT_LT(kept, tokens);
  }
}

TEST_P(SpeculationTest, InACrowdTooAndWithPrefixes) {
  std::vector<Job> requests;
  for (uint64_t seed = 1; seed <= 60; ++seed) requests.push_back(Repetitive(seed));
  // Alone; in a crowd; and in one that has memory for two contexts, so that some pause.
  using Crowd = std::pair<size_t, size_t>;
  for (const auto& [sessions, contexts] : {Crowd(1, 1), Crowd(7, 7), Crowd(7, 2)}) {
    const size_t kv_bytes =
        contexts *
        InferenceSession::Cost(transformer_->config(), KvType::kF16, 512, 4).Of(context_);
    Start(sessions, {.max_queued = 64, .prefill_tokens = 16, .longest_draft = 4}, 1 << 20,
          kv_bytes);
    std::vector<std::shared_ptr<Recorder>> recorders;
    recorders.reserve(requests.size());
    for (const Job& request : requests) recorders.push_back(MustSubmit(request));
    size_t drafted = 0, kept = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(recorders[i]->Wait(), Alone(requests[i])) << "request " << i;
      const JobStats& stats = recorders[i]->stats();
      EXPECT_EQ(stats.generated_tokens, recorders[i]->count());
      EXPECT_LE(stats.kept_tokens, stats.drafted_tokens);
      drafted += stats.drafted_tokens;
      kept += stats.kept_tokens;
    }
    if (sessions == 1) {
      EXPECT_GT(kept, 0u) << drafted << " were drafted";
    }
  }
}

TEST_P(SpeculationTest, APredictionMakesTheAnswerSoonerAndNoOther) {
  Job request = Request("r", 20, 40);
  const Answer alone = Alone(request);
  for (const bool right : {true, false}) {
    std::vector<int32_t> prediction = alone.tokens;
    if (!right) std::ranges::reverse(prediction);
    request.options.prediction = std::make_shared<const std::vector<int32_t>>(prediction);
    size_t kept = 0;
    EXPECT_EQ(Alone(request, 8, &kept), alone);
    EXPECT_TRUE(right ? kept > 30 : kept < 10) << kept << (right ? " of a right" : " of a wrong");
  }
}

// Text that a grammar leaves no choice about is guessed before it has been seen.
TEST_P(SpeculationTest, WhatAGrammarForcesIsGuessed) {
  vocabulary_ = GrammarVocabulary::Create(tokenizer_);
  Job request = Request("r", 5, 60);
  request.options.ignore_eos = false;
  request.options.grammar = std::make_shared<TokenGrammar>(
      ParseGbnf("root ::= [a-d] \"the quick brown fox\" [a-d] \"jumps\" [a-d]").value(),
      vocabulary_);
  for (const float temperature : {0.0f, 0.7f, 1.5f}) {
    request.options.sampling.temperature = temperature;
    size_t kept = 0;
    EXPECT_EQ(Alone(request, 16, &kept), Alone(request));
    EXPECT_GT(kept, 5u);  // a model without sense spells as it likes
  }
}

// The cache of a session is cut back to what became of the draft, so that what it gives to others
// is what they would compute.
TEST_P(SpeculationTest, WhatIsRememberedIsOfTheAnswerOnly) {
  Start(1, {.prefill_tokens = 16, .longest_draft = 8}, 1 << 20);
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const Job first = Repetitive(seed);
    const Answer answer = MustSubmit(first)->Wait();
    Job second = first;
    second.id += "+";
    second.prompt.insert(second.prompt.end(), answer.tokens.begin(), answer.tokens.end());
    second.options.max_tokens = 10;
    EXPECT_EQ(MustSubmit(second)->Wait(), Alone(second)) << seed;
  }
}

// A model that guesses for itself, one that knows nothing of it, and one with states: none changes
// a bit, with one stream or as many as may guess, where all have a cache or only two. Which guesses
// are worth their time depends on the machine; some are made in any case, to learn it.
TEST_P(SpeculationTest, ADraftModelChangesNoAnswer) {
  std::vector<Job> requests;
  for (uint64_t seed = 1; seed <= 60; ++seed) requests.push_back(Repetitive(seed));
  const TestModel stranger({.seed = 99, .layers = 1});
  const TestModel recurrent({.seed = 98, .architecture = "qwen35"});
  using Case = std::pair<const Transformer*, size_t>;
  size_t drafted = 0;
  for (const auto& [small, sessions] :
       {Case(transformer_.get(), 1), Case(stranger.transformer.get(), 4),
        Case(recurrent.transformer.get(), 3), Case(stranger.transformer.get(), 7)}) {
    DraftBy(*small, std::min<size_t>(2, sessions), 4);
    Start(sessions, {.max_queued = 64, .prefill_tokens = 16, .longest_draft = 4}, 1 << 20);
    SCOPED_TRACE(sessions);
    drafted += ExpectEachAsAlone(requests);
  }
  EXPECT_GT(drafted, 100u);
}

// Of every kind of recurrent layer, alone and beside attention. The others have none.
INSTANTIATE_TEST_SUITE_P(Families, SpeculationTest,
                         ::testing::Values("llama", "qwen35", "lfm2", "granitehybrid", "falcon-h1"),
                         [](const auto& family) {
                           std::string name = family.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace lockstep
