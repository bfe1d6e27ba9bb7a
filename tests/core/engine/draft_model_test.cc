// What a draft model guesses is what it would say behind the very text that there is, however the
// guesses before went: its cache is always taken back to what is right.
#include "core/engine/draft_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/slow_steps.h"
#include "tests/support/tiny_vocabulary.h"
#include "tests/support/transformer_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// A text that grows, and what it was guessed to go on with.
struct Text {
  explicit Text(std::vector<int32_t> tokens = {}) : prompt(std::move(tokens)) {
    sampling.temperature = 0;
  }
  std::vector<int32_t> prompt, output, guess;
  SamplingParams sampling;

  std::vector<int32_t> All() const {
    std::vector<int32_t> all = prompt;
    all.insert(all.end(), output.begin(), output.end());
    return all;
  }
  DraftTask Task(size_t most) {
    guess.reserve(most);
    return {this, prompt, output, &sampling, {}, most, &guess};
  }
};

// A model that is sure of what it says, which random weights are not by themselves.
std::vector<uint8_t> SureModel(const char* architecture) {
  TinyModelOptions options;
  options.architecture = architecture;
  GgufBuilder builder = TinyModelBuilder(options);
  for (GgufBuilder::Tensor& tensor : builder.tensors) {
    if (tensor.name != "output_norm.weight" && tensor.name != "token_embd_norm.weight") continue;
    for (size_t i = 0; i < tensor.data.size(); i += sizeof(float)) {
      float x;
      std::memcpy(&x, &tensor.data[i], sizeof(float));
      x *= 20;
      std::memcpy(&tensor.data[i], &x, sizeof(float));
    }
  }
  return builder.Build();
}

class DraftModelTest : public testing::TestWithParam<const char*> {
 protected:
  explicit DraftModelTest(const char* architecture = GetParam())
      : model_(*ChooseKernels("auto").kernels, SureModel(architecture)) {}

  std::unique_ptr<DraftModel> Create(size_t texts = 1, size_t vocab = 320) {
    return DraftModel::Create(
               *model_.transformer,
               {.texts = texts, .context = 128, .vocab = vocab, .threads = 2, .longest_draft = 16})
        .value();
  }
  void Draft(DraftModel& draft, const std::vector<Text*>& texts, size_t most = 6,
             size_t streams = 1) {
    std::vector<DraftTask> tasks;
    tasks.reserve(texts.size());
    for (Text* const text : texts) tasks.push_back(text->Task(most));
    draft.Draft(tasks, slow_, streams, pool_);
  }
  // Until it has read the text, a part in each call.
  void DraftAtLast(DraftModel& draft, Text& text, size_t most = 6) {
    for (int i = 0; i < 20; ++i) {
      Draft(draft, {&text}, most);
      if (!text.guess.empty()) return;
    }
  }
  // What a fresh cache of the tokens gives.
  std::vector<int32_t> GoesOn(std::vector<int32_t> tokens, const Text& text, size_t n) {
    Scratch scratch(model_.config, 128, 1, kMaxThreads);
    KvCache kv = model_.NewCache();
    Sampler sampler(model_.config.vocab);
    sampler.Reset(text.sampling, {});
    std::vector<int32_t> found;
    while (found.size() < n) {
      const BatchEntry entry = {&kv, tokens, LogitRows::kLast};
      EXPECT_TRUE(model_.transformer->Forward({&entry, 1}, scratch, pool_));
      const size_t place = text.prompt.size() + text.output.size() + found.size();
      found.push_back(sampler.Sample(scratch.logits(0), place)->token);
      tokens = {found.back()};
    }
    return found;
  }
  void ExpectToGoOn(const std::vector<int32_t>& tokens, const Text& text, const std::string& when) {
    ASSERT_FALSE(text.guess.empty()) << when;
    EXPECT_EQ(text.guess, GoesOn(tokens, text, text.guess.size())) << when;
  }

  const TestModel model_;
  const StepPacer slow_ = SlowSteps();
  ThreadPool pool_{2};
};

// The answer takes of each guess more or less, and goes on with something else or with nothing.
TEST_P(DraftModelTest, GuessesWhatFollowsTheTextAsItHasBecome) {
  for (const float temperature : {0.0f, 0.7f, 1.5f}) {
    const auto draft = Create();
    Text text(model_.Tokens(20));
    text.sampling.temperature = temperature;
    text.sampling.seed = 9;
    Random random(3);
    size_t guessed = 0;
    while (text.output.size() < 40) {
      text.guess.clear();
      DraftAtLast(*draft, text);
      ExpectToGoOn(text.All(), text,
                   "temperature " + std::to_string(temperature) + ", behind " +
                       std::to_string(text.output.size()));
      guessed += text.guess.size();
      const size_t right = random.Below(text.guess.size() + 1);
      text.output.insert(text.output.end(), text.guess.begin(),
                         text.guess.begin() + static_cast<ptrdiff_t>(right));
      const size_t others = right == 0 ? 1 + random.Below(3) : random.Below(2);
      for (size_t i = 0; i < others; ++i) {
        text.output.push_back(static_cast<int32_t>(random.Below(model_.config.vocab)));
      }
    }
    EXPECT_GT(guessed, 20u);
    // The same text again, which goes no further: a step that came to nothing.
    DraftAtLast(*draft, text);
    ExpectToGoOn(text.All(), text, "again");
  }
}

TEST_P(DraftModelTest, OfALongTextItReadsTheFirstTokenAndTheLast) {
  const auto draft = Create();
  Text text(model_.Tokens(100));
  text.output = model_.Tokens(3, 6);
  DraftAtLast(*draft, text);
  const std::vector<int32_t> all = text.All();
  std::vector<int32_t> read = {all[0]};
  read.insert(read.end(), all.end() - 63, all.end());
  ExpectToGoOn(read, text, "when it begins");
  // It goes on from there until its cache is full, and then begins anew.
  for (int32_t i = 0; i < 100; ++i) {
    const int32_t token = i % 4 == 3 ? 5 + i : text.guess[0];
    text.output.push_back(token);
    read.push_back(token);
    if (read.size() + 6 > 128) {
      read.assign(1, all[0]);
      const std::vector<int32_t> now = text.All();
      read.insert(read.end(), now.end() - 63, now.end());
    }
    DraftAtLast(*draft, text);
    ExpectToGoOn(read, text, std::to_string(text.output.size()));
    if (HasFatalFailure()) return;
  }
}

TEST_P(DraftModelTest, SeveralTextsAtOnce) {
  const auto draft = Create(3);
  std::vector<Text> texts(3);
  for (size_t i = 0; i < 3; ++i) texts[i].prompt = model_.Tokens(5 + 9 * i, i);
  std::vector<Text*> all = {&texts[0], &texts[1], &texts[2]};
  for (size_t round = 0; round < 20; ++round) {
    for (Text& text : texts) text.guess.clear();
    Draft(*draft, all, 4);
    for (Text& text : texts) {
      if (text.guess.empty()) DraftAtLast(*draft, text, 4);
    }
    for (Text& text : texts) {
      ExpectToGoOn(text.All(), text, std::to_string(round));
      text.output.push_back(round % 3 == 0 ? 7 : text.guess[0]);
    }
    std::rotate(all.begin(), all.begin() + 1, all.end());  // not ranges': clang 14 has it wrong
  }
}

INSTANTIATE_TEST_SUITE_P(Families, DraftModelTest,
                         testing::Values("llama", "gemma3", "qwen35", "lfm2", "granitehybrid",
                                         "falcon-h1"),
                         [](const auto& family) {
                           std::string name = family.param;
                           std::erase(name, '-');
                           return name;
                         });

class PlainDraftModelTest : public DraftModelTest {
 protected:
  PlainDraftModelTest() : DraftModelTest("llama") {}
};

TEST_F(PlainDraftModelTest, ATextWithoutACacheWaitsUntilOneIsFree) {
  const auto draft = Create(1);
  Text first(model_.Tokens(9, 1)), second(model_.Tokens(9, 2));
  Draft(*draft, {&first, &second});
  EXPECT_FALSE(first.guess.empty());
  EXPECT_THAT(second.guess, IsEmpty());
  EXPECT_GT(draft->Hope(&first), 0);
  EXPECT_EQ(draft->Hope(&second), 0);
  draft->Forget(&first);
  EXPECT_EQ(draft->Hope(&first), 0);
  Draft(*draft, {&second, &first});
  ExpectToGoOn(second.All(), second, "in the other's cache");
  EXPECT_THAT(first.guess, IsEmpty());
  Draft(*draft, {&first});
  EXPECT_THAT(first.guess, IsEmpty());
}

TEST_F(PlainDraftModelTest, IsSilentWhereAGuessIsNotWorthItsTime) {
  const auto draft = Create();
  Text text(model_.Tokens(9));
  // Nothing was measured; many wait; steps take no time.
  std::vector<DraftTask> tasks = {text.Task(6)};
  draft->Draft(tasks, StepPacer(512), 1, pool_);
  EXPECT_THAT(text.guess, IsEmpty());
  StepPacer quick(512);
  for (int i = 0; i < 50; ++i) quick.Observe({.seconds = 1e-9, .decoding = 1});
  for (int i = 0; i < 3; ++i) draft->Draft(tasks, quick, 1, pool_);
  EXPECT_THAT(text.guess, IsEmpty());
  Draft(*draft, {&text}, 0);
  EXPECT_THAT(text.guess, IsEmpty());
  Draft(*draft, {&text}, 3);
  EXPECT_FALSE(text.guess.empty());
  EXPECT_LE(text.guess.size(), 3u);
}

TEST_F(PlainDraftModelTest, LearnsFromWhatBecomesOfItsGuesses) {
  const auto draft = Create(2);
  Text right(model_.Tokens(9, 1)), wrong(model_.Tokens(9, 2));
  for (int i = 0; i < 30; ++i) {
    Draft(*draft, {&right, &wrong}, 2);
    right.output.push_back(right.guess.empty() ? 5 : right.guess[0]);
    wrong.output.push_back(wrong.guess.empty() ? 5 : (wrong.guess[0] + 1) % 300);
  }
  EXPECT_GT(draft->Hope(&right), 0.8);
  EXPECT_LT(draft->Hope(&wrong), 0.2);
}

TEST_F(PlainDraftModelTest, TheFirstTokenIsOneThatIsAllowed) {
  const auto draft = Create();
  Text text(model_.Tokens(9));
  std::vector<uint64_t> allowed(5, 0);
  std::vector<DraftTask> tasks = {text.Task(3)};
  tasks[0].allowed = allowed;
  draft->Draft(tasks, slow_, 1, pool_);
  EXPECT_THAT(text.guess, IsEmpty());  // none is: the guess ends, and nothing else does
  allowed[77 / 64] = uint64_t{1} << (77 % 64);
  draft->Draft(tasks, slow_, 1, pool_);
  ASSERT_FALSE(text.guess.empty());
  EXPECT_EQ(text.guess[0], 77);
}

// The other model has tokens that this one has not.
TEST_F(PlainDraftModelTest, TokensThatItDoesNotHaveAreLeftOut) {
  const auto draft = Create(1, 330);
  Text text({1, 5, 6, 325, 8, 9});
  Draft(*draft, {&text});
  ExpectToGoOn({1, 8, 9}, text, "behind it");
  text.output = {329};
  Draft(*draft, {&text});
  EXPECT_THAT(text.guess, IsEmpty());
  text.output.push_back(4);
  Draft(*draft, {&text});
  ExpectToGoOn({1, 4}, text, "behind the second");
  draft->Forget(&text);
  Text unknown({325, 5, 6});
  Draft(*draft, {&unknown});
  EXPECT_THAT(unknown.guess, IsEmpty());
  // And the other way round: it says none that the other has not.
  const auto wide = Create(1, 300);
  Text narrow({1, 5, 6});
  narrow.sampling.temperature = 1.5f;
  narrow.sampling.top_k = 0;
  narrow.sampling.top_p = 1;
  for (int32_t i = 0; i < 50; ++i) {
    Draft(*wide, {&narrow});
    for (const int32_t token : narrow.guess) EXPECT_LT(token, 300);
    narrow.output.push_back(i);
  }
}

TEST_F(PlainDraftModelTest, PenaltiesAndBiasesOfARequestDoNoHarm) {
  const auto draft = Create(1, 330);
  Text text({1, 5, 6});
  text.sampling.repetition_penalty = 1.5f;
  text.sampling.dry.multiplier = 1;
  text.sampling.logprobs = 5;
  text.sampling.logit_bias = {{40, 1000.0f}, {329, 1000.0f}};
  Draft(*draft, {&text});
  ASSERT_FALSE(text.guess.empty());
  EXPECT_EQ(text.guess[0], 40);
}

std::string Difference(const TinyVocabulary& vocabulary, const TinyVocabulary& draft) {
  const Tokenizer a = CreateTokenizer(vocabulary.Metadata()).value();
  const Tokenizer b = CreateTokenizer(draft.Metadata()).value();
  const Status same = DraftModel::CheckVocabulary(a, b);
  return same ? "" : same.error().message;
}

TEST(DraftVocabularyTest, ATokenIsTheSameToBoth) {
  const TinyVocabulary one = SpmVocabulary({"a", "b", "ab"});
  EXPECT_EQ(Difference(one, one), "");
  TinyVocabulary longer = one, other = one, renamed = one, unbegun = one;
  longer.Add("more", 1);
  EXPECT_EQ(Difference(one, longer), "");
  EXPECT_EQ(Difference(longer, one), "");
  for (int i = 0; i < 200; ++i) longer.Add("x" + std::to_string(i), 1);
  EXPECT_THAT(Difference(one, longer), HasSubstr("463 tokens and not 262"));
  other.tokens[260] = "c";
  EXPECT_THAT(Difference(one, other), HasSubstr("token 260 is \"c\" and not \"b\""));
  renamed.tokens[0] = "<pad>";
  EXPECT_EQ(Difference(one, renamed), "");
  unbegun.builder.SetBool("tokenizer.ggml.add_bos_token", false);
  EXPECT_THAT(Difference(one, unbegun), HasSubstr("begins with token -1 and not with 1"));
}

}  // namespace
}  // namespace lockstep
