// Guesses of a model's own block that guesses ahead: they are what the block says behind the very
// text that there is, they are right where it knows better, and they change no answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/mtp_fixture.h"
#include "tests/support/scheduler_fixture.h"
#include "tests/support/slow_steps.h"

namespace lockstep {
namespace {

float* Values(GgufBuilder::Tensor& tensor) { return reinterpret_cast<float*>(tensor.data.data()); }

// A model that says after each token the next one of the vocabulary, and whose block knows it: the
// layers add nothing, the output's rows are the embeddings of the tokens before, and the block goes
// on from the embedding alone. `layers` that take their time make a step slow.
std::vector<uint8_t> Counting(size_t layers) {
  TinyModelOptions options = TinyMtpOptions("qwen35-mtp");
  options.layers = layers;
  options.tied = false;
  GgufBuilder builder = TinyModelBuilder(options);
  for (GgufBuilder::Tensor& tensor : builder.tensors) {
    const auto ends = [&](const char* end) { return tensor.name.ends_with(end); };
    if (ends("attn_output.weight") || ends("ffn_down.weight") || ends("ssm_out.weight")) {
      std::ranges::fill(tensor.data, '\0');
    } else if (tensor.name == "output_norm.weight" || ends("enorm.weight") ||
               ends("shared_head_norm.weight")) {
      std::fill_n(Values(tensor), options.dim, 1.0f);
    } else if (ends("eh_proj.weight")) {
      std::ranges::fill(tensor.data, '\0');
      for (size_t i = 0; i < options.dim; ++i) Values(tensor)[i * 2 * options.dim + i] = 1;
    }
  }
  const size_t row = options.dim * sizeof(float);
  const std::string embedding = builder.GetTensor("token_embd.weight").data;
  builder.GetTensor("output.weight").data =
      embedding.substr(embedding.size() - row) + embedding.substr(0, embedding.size() - row);
  return builder.Build();
}

class MtpDraftTest : public testing::Test {
 protected:
  // A text that the model reads as a scheduler has it read, drafts and all.
  struct Text {
    std::vector<int32_t> prompt, output, guess;
    SamplingParams sampling;
    DraftTask Task(size_t most) {
      guess.reserve(most);
      return {this, prompt, output, &sampling, {}, most, &guess};
    }
    std::vector<int32_t> All() const {
      std::vector<int32_t> all = prompt;
      all.insert(all.end(), output.begin(), output.end());
      return all;
    }
  };

  explicit MtpDraftTest(std::vector<uint8_t> gguf = TinyModel(TinyMtpOptions("glm4moe")))
      : model_(std::move(gguf)), scratch_(model_.config, 128, 1, kMaxThreads) {}

  std::unique_ptr<DraftModel> Create() {
    return DraftModel::Create(*model_.block, {.texts = 1,
                                              .context = 128,
                                              .vocab = model_.config.vocab,
                                              .threads = 2,
                                              .longest_draft = 16})
        .value();
  }
  // Reads what `kv` has not, and the guess behind it, which is forgotten again.
  void Step(DraftModel& draft, KvCache& kv, Text& text, size_t right) {
    std::vector<int32_t> tokens = text.All();
    const size_t from = kv.length();
    tokens.insert(tokens.end(), text.guess.begin(), text.guess.end());
    const std::vector<int32_t> next(tokens.begin() + static_cast<ptrdiff_t>(from), tokens.end());
    const BatchEntry entry = {&kv, next, LogitRows::kNone};
    ASSERT_TRUE(model_.transformer->Forward({&entry, 1}, scratch_, pool_));
    draft.Follow(text.Task(0), scratch_, 0, from, next.size());
    kv.Truncate(tokens.size() - text.guess.size() + right);
  }
  // What a block that has read the text from token `from` on says behind it.
  std::vector<int32_t> GoesOn(const Text& text, size_t from, size_t n) {
    const std::vector<int32_t> all = text.All();
    const std::vector<float> hidden = model_.Hidden(std::span(all).first(all.size() - 1));
    Scratch scratch(model_.mtp_config, 128, 1, kMaxThreads);
    KvCache kv = KvCache::Create(model_.mtp_config, 128).value();
    Sampler sampler(model_.config.vocab);
    sampler.Reset(text.sampling, {});
    std::vector<int32_t> tokens(all.begin() + static_cast<ptrdiff_t>(from) + 1, all.end()), found;
    std::vector<float> states(hidden.begin() + static_cast<ptrdiff_t>(from * model_.config.dim),
                              hidden.end());
    while (found.size() < n) {
      const BatchEntry entry = {&kv, tokens, LogitRows::kLast, states, !found.empty()};
      EXPECT_TRUE(model_.block->Forward({&entry, 1}, scratch, pool_));
      found.push_back(sampler.Sample(scratch.logits(0), all.size() + found.size())->token);
      const auto last = scratch.token_vector(0, tokens.size() - 1);
      states.assign(last.begin(), last.end());
      tokens = {found.back()};
    }
    return found;
  }

  const MtpModel model_;
  const StepPacer slow_ = SlowSteps();
  Scratch scratch_;
  ThreadPool pool_{2};
};

// The answer takes of each guess more or less, and goes on with something else.
TEST_F(MtpDraftTest, GuessesWhatTheBlockSaysOfTheTextAsItHasBecome) {
  for (const size_t from : {0, 7}) {  // what comes before was in a prefix cache
    const auto draft = Create();
    Text text;
    text.prompt = model_.Tokens(20);
    text.sampling.temperature = 0;
    KvCache kv = model_.NewCache();
    if (from > 0) {
      const BatchEntry entry = {&kv, std::span(text.prompt).first(from), LogitRows::kNone};
      ASSERT_TRUE(model_.transformer->Forward({&entry, 1}, scratch_, pool_));
    }
    Step(*draft, kv, text, 0);
    Random random(3);
    text.output.push_back(5);
    size_t guessed = 0;
    while (text.output.size() < 60) {
      for (int i = 0; i < 20; ++i) {
        std::vector<DraftTask> tasks = {text.Task(4)};
        draft->Draft(tasks, slow_, 1, pool_);
        if (!text.guess.empty()) break;
      }
      ASSERT_FALSE(text.guess.empty()) << text.output.size();
      EXPECT_EQ(text.guess, GoesOn(text, from, text.guess.size())) << text.output.size();
      guessed += text.guess.size();
      const size_t right = random.Below(text.guess.size() + 1);
      Step(*draft, kv, text, right);
      text.output.insert(text.output.end(), text.guess.begin(),
                         text.guess.begin() + static_cast<ptrdiff_t>(right));
      text.output.push_back(static_cast<int32_t>(random.Below(model_.config.vocab)));
      text.guess.clear();
    }
    EXPECT_GT(guessed, 20u);
  }
}

TEST_F(MtpDraftTest, ATextOfWhichItHasSeenNothingHasNoGuess) {
  const auto draft = Create();
  Text text;
  text.prompt = model_.Tokens(20);
  for (int i = 0; i < 3; ++i) {
    std::vector<DraftTask> tasks = {text.Task(4)};
    draft->Draft(tasks, slow_, 1, pool_);
    EXPECT_TRUE(text.guess.empty());
  }
}

class CountingTest : public MtpDraftTest {
 protected:
  CountingTest() : MtpDraftTest(Counting(4)) {}
};

TEST_F(CountingTest, GuessesRight) {
  const auto draft = Create();
  Text text;
  text.prompt = {5, 9, 40};
  text.sampling.temperature = 0;
  KvCache kv = model_.NewCache();
  Step(*draft, kv, text, 0);
  text.output = {41};
  std::vector<DraftTask> tasks = {text.Task(4)};
  draft->Draft(tasks, slow_, 1, pool_);
  EXPECT_THAT(text.guess, testing::ElementsAre(42, 43, 44, 45));
}

// The same under a scheduler, with states that go back, requests of all kinds and prefixes.
class MtpSchedulerTest : public SchedulerTest {
 protected:
  MtpSchedulerTest() : MtpSchedulerTest(Counting(40)) {}
  explicit MtpSchedulerTest(std::vector<uint8_t> gguf) : SchedulerTest(gguf), model_(gguf) {}
  const MtpModel model_;
};

TEST_F(MtpSchedulerTest, RightGuessesAreKept) {
  DraftBy(*model_.block, 2, 4);
  Start(2, {.longest_draft = 4});
  size_t drafted = 0, kept = 0;
  for (size_t i = 0; i < 10; ++i) {
    Job request = Request("r" + std::to_string(i), 5 + i, 100);
    request.options.sampling.temperature = 0;
    const auto recorder = MustSubmit(request);
    const Answer alone = Alone(request);
    EXPECT_EQ(recorder->Wait(), alone);
    EXPECT_EQ(alone.tokens[1], (alone.tokens[0] + 1) % 320);
    drafted += recorder->stats().drafted_tokens;
    kept += recorder->stats().kept_tokens;
  }
  EXPECT_GT(kept, 0u);
  EXPECT_EQ(kept, drafted) << "a guess of the block is never wrong here";
}

TEST_F(MtpSchedulerTest, ChangesNoAnswer) {
  const std::vector<Job> requests = Mixed(40);
  size_t drafted = 0;
  for (const size_t sessions : {1, 3, 7}) {
    const size_t kv_bytes =
        2 * InferenceSession::Cost(transformer_->config(), KvType::kF16, 512, 4).Of(context_);
    DraftBy(*model_.block, std::min<size_t>(2, sessions), 4);
    Start(sessions, {.max_queued = 64, .prefill_tokens = 16, .longest_draft = 4}, 1 << 20,
          kv_bytes);
    SCOPED_TRACE(sessions);
    drafted += ExpectEachAsAlone(requests);
  }
  EXPECT_GT(drafted, 100u);
}

}  // namespace
}  // namespace lockstep
