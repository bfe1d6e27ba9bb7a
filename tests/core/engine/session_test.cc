#include "core/engine/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "core/transformer/model_config.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

constexpr size_t kContext = 64;

// Sessions are driven with logits that force the next token, so no transformer is needed.
class SessionTest : public testing::Test {
 protected:
  SessionTest()
      : bytes_(TinyModel({.vocab = 400})),  // with pieces of several letters
        file_(GgufFile::Parse(bytes_, "tiny").value()),
        config_(ReadModelConfig(file_).value()),
        tokenizer_(Tokenizer::Create(file_).value()),
        session_(InferenceSession::Create(config_, tokenizer_, kContext).value()) {
    for (size_t i = 0; i < config_.vocab; ++i) {
      const auto id = static_cast<int32_t>(i);
      const std::string text(tokenizer_.TokenBytes(id));
      if (!text.empty()) id_of_[text] = id;
    }
  }

  // Tokens of the vocabulary whose bytes are these.
  std::vector<int32_t> Ids(const std::vector<std::string>& texts) const {
    std::vector<int32_t> ids;
    for (const std::string& text : texts) ids.push_back(id_of_.at(text));
    return ids;
  }

  static GenerationOptions Params(std::vector<std::string> stop = {}, size_t max_tokens = 20) {
    GenerationOptions params;
    params.sampling.temperature = 0;
    params.stop = std::move(stop);
    params.max_tokens = max_tokens;
    return params;
  }

  std::optional<TokenEvent> Step(int32_t token, size_t limit = kContext) {
    const BatchEntry entry = session_.NextEntry(limit);
    EXPECT_TRUE(entry.kv->Append(entry.tokens.size()));
    if (entry.logits == LogitRows::kNone) return session_.Accept({}).value();
    std::vector<float> logits(config_.vocab, 0.0f);
    logits[token] = 1;
    return session_.Accept(logits).value();
  }

  // The texts of the events that `tokens` make, until the generation is finished.
  std::vector<std::string> Texts(const GenerationOptions& params,
                                 const std::vector<int32_t>& tokens) {
    EXPECT_TRUE(session_.Begin({1, 5}, params));
    std::vector<std::string> texts;
    for (const int32_t token : tokens) {
      const auto event = Step(token);
      EXPECT_TRUE(event.has_value());
      EXPECT_EQ(event->index, texts.size());
      EXPECT_EQ(event->sampled.token, token);
      EXPECT_EQ(event->finish, session_.finish_reason());
      texts.push_back(event->text);
      if (session_.finished()) break;
    }
    return texts;
  }

  std::vector<uint8_t> bytes_;
  GgufFile file_;
  ModelConfig config_;
  Tokenizer tokenizer_;
  InferenceSession session_;
  std::map<std::string, int32_t> id_of_;
};

TEST_F(SessionTest, FeedsThePromptInChunksAndThenEachToken) {
  const std::vector<int32_t> prompt = {1, 4, 5, 6, 7, 8, 9};
  ASSERT_TRUE(session_.Begin(prompt, Params()));
  std::vector<int32_t> fed;
  for (const size_t size : {3, 3, 1}) {
    const BatchEntry entry = session_.NextEntry(3);
    ASSERT_EQ(entry.tokens.size(), size);
    EXPECT_EQ(entry.logits,
              fed.size() + size == prompt.size() ? LogitRows::kLast : LogitRows::kNone);
    EXPECT_TRUE(session_.prefilling());
    fed.insert(fed.end(), entry.tokens.begin(), entry.tokens.end());
    EXPECT_EQ(Step(77, 3).has_value(), fed.size() == prompt.size());
    EXPECT_EQ(session_.position(), fed.size());
  }
  EXPECT_EQ(fed, prompt);
  EXPECT_FALSE(session_.prefilling());
  for (size_t n = 1; n <= 3; ++n) {
    EXPECT_THAT(session_.NextEntry(100).tokens, ElementsAre(session_.output().back()));
    EXPECT_EQ(Step(77 + static_cast<int32_t>(n))->index, n);
    EXPECT_EQ(session_.position(), prompt.size() + n);
  }
  EXPECT_THAT(session_.output(), ElementsAre(77, 78, 79, 80));
  EXPECT_EQ(session_.prompt(), prompt);
}

TEST_F(SessionTest, DrawsAtThePositionOfTheNewToken) {
  GenerationOptions params;
  params.sampling.seed = 5;
  Sampler sampler(config_.vocab);
  sampler.Reset(params.sampling, std::vector<int32_t>{1, 5, 9});
  std::vector<float> logits(config_.vocab);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7);
  ASSERT_TRUE(session_.Begin({1, 5, 9}, params));
  for (uint64_t position = 3; position < 12; ++position) {
    const BatchEntry entry = session_.NextEntry(kContext);
    ASSERT_TRUE(entry.kv->Append(entry.tokens.size()));
    const auto event = session_.Accept(logits);
    ASSERT_TRUE(event && *event);
    EXPECT_EQ((*event)->sampled.token, sampler.Sample(logits, position)->token);
    if (session_.finished()) break;
  }
}

TEST_F(SessionTest, HoldsUnfinishedCharactersBack) {
  EXPECT_THAT(Texts(Params(), Ids({"a", "\xC3", "\xA9", "\xF0", "\x9F", "\x98", "\x80", "b"})),
              ElementsAre("a", "", "\u00e9", "", "", "", "\U0001F600", "b"));
  EXPECT_THAT(Texts(Params({}, 2), Ids({"a", "\xF0"})), ElementsAre("a", "\uFFFD"));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kLength);
}

TEST_F(SessionTest, TheLastEventSaysWhichStopTextEndedIt) {
  ASSERT_TRUE(session_.Begin({1, 5}, Params({"zz", "bc"})));
  const std::vector<int32_t> tokens = Ids({"a", "b", "c"});
  EXPECT_EQ(Step(tokens[0])->stop, std::nullopt);
  EXPECT_EQ(Step(tokens[1])->stop, std::nullopt);
  EXPECT_EQ(Step(tokens[2])->stop, 1u);
}

TEST_F(SessionTest, StopTextsEndTheOutputAcrossTokens) {
  const auto stop = Params({"abc"});
  EXPECT_THAT(Texts(stop, Ids({"x", "a", "b", "c", "d"})), ElementsAre("x", "", "", ""));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kStop);
  EXPECT_THAT(session_.output(), testing::SizeIs(4));
  // Only what may still become a stop text waits: "ab" does, then not even the "b" of "abb".
  EXPECT_THAT(Texts(stop, Ids({"a", "b", "b", "a", "x"})), ElementsAre("", "", "abb", "", "ax"));
  EXPECT_THAT(Texts(stop, Ids({"a", "a", "b", "c"})), ElementsAre("", "a", "", ""));
  // The text in front of a stop text inside one token is kept.
  EXPECT_THAT(Texts(Params({"he"}), Ids({"the"})), ElementsAre("t"));
  EXPECT_THAT(Texts(Params({"\u00e9!"}), Ids({"\xC3", "\xA9", "!"})), ElementsAre("", "", ""));
}

TEST_F(SessionTest, TheFirstCompleteStopTextWinsAndTheLongestOfThose) {
  EXPECT_THAT(Texts(Params({"abcd", "bc"}), Ids({"a", "b", "c", "d"})), ElementsAre("", "", "a"));
  EXPECT_THAT(Texts(Params({"bc", "abc"}), Ids({"a", "b", "c"})), ElementsAre("", "", ""));
  EXPECT_THAT(Texts(Params({"on", "n"}), Ids({"c", "on"})), ElementsAre("c", ""));
}

TEST_F(SessionTest, StopTextOnTheLastTokenIsAStop) {
  EXPECT_THAT(Texts(Params({"b"}, 2), Ids({"a", "b"})), ElementsAre("a", ""));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kStop);
  // What was held back comes with the last event.
  EXPECT_THAT(Texts(Params({"abc"}, 2), Ids({"a", "b"})), ElementsAre("", "ab"));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kLength);
  EXPECT_THAT(Texts(Params({"abc"}), {Ids({"a"})[0], tokenizer_.eos()}), ElementsAre("", "a"));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kStop);
}

// R3: however a text is cut into tokens, the same text comes out, and as early as can be.
TEST_F(SessionTest, StopTextsDoNotDependOnHowTokensCutTheText) {
  std::mt19937 random(4);
  const std::vector<std::string> pieces = {"t", "h", "e", "n", "i", "th", "he", "the", "in", "an"};
  const auto pick = [&](size_t n) {
    std::vector<std::string> parts;
    while (parts.size() < n) parts.push_back(pieces[random() % pieces.size()]);
    return parts;
  };
  const auto join = [](const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += part;
    return text;
  };
  int stopped = 0;
  for (int round = 0; round < 300; ++round) {
    const std::vector<std::string> parts = pick(12);
    std::vector<std::string> stops;
    for (int i = 0; i < 3; ++i) stops.push_back(join(pick(1 + random() % 3)));
    const std::string whole = join(parts);
    std::string expected = whole;  // by the definition, character by character
    for (size_t end = 1; end <= whole.size() && expected == whole; ++end) {
      size_t longest = 0;
      for (const std::string& stop : stops) {
        if (whole.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
      }
      if (longest > 0) expected = whole.substr(0, end - longest);
    }
    std::vector<std::string> letters;
    for (const char c : whole) letters.emplace_back(1, c);
    for (const auto& cut : {parts, letters}) {
      std::vector<int32_t> tokens = Ids(cut);
      tokens.push_back(tokenizer_.eos());
      EXPECT_EQ(join(Texts(Params(stops, kContext), tokens)), expected);
    }
    stopped += expected != whole;
  }
  EXPECT_GT(stopped, 100);
}

TEST_F(SessionTest, EndTokensEndTheOutputWithoutText) {
  const int32_t eos = tokenizer_.eos();
  const int32_t a = Ids({"a"})[0], b = Ids({"b"})[0];
  EXPECT_THAT(Texts(Params(), {a, eos}), ElementsAre("a", ""));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kStop);
  EXPECT_THAT(session_.output(), ElementsAre(a, eos));

  GenerationOptions params = Params();
  params.stop_ids = {b};
  EXPECT_THAT(Texts(params, {a, b}), ElementsAre("a", ""));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kStop);

  params = Params();
  params.ignore_eos = true;
  EXPECT_THAT(Texts(params, {a, eos, b}), ElementsAre("a", "", "b"));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kNone);
  params.stop_ids = {eos};  // asked for by id, so it still ends
  EXPECT_THAT(Texts(params, {a, eos, b}), ElementsAre("a", ""));
}

// The likeliest token is banned, so that the next likely one comes.
TEST_F(SessionTest, BannedTokensDoNotCome) {
  const int32_t a = Ids({"a"})[0], b = Ids({"b"})[0], eos = tokenizer_.eos();
  const auto step = [this](int32_t first, int32_t second) {
    const BatchEntry entry = session_.NextEntry(kContext);
    EXPECT_TRUE(entry.kv->Append(entry.tokens.size()));
    std::vector<float> logits(config_.vocab, 0.0f);
    logits[first] = 2;
    logits[second] = 1;
    return session_.Accept(logits).value()->sampled.token;
  };
  GenerationOptions params = Params();
  params.bans.min_tokens = 2;
  params.stop_ids = {b};
  ASSERT_TRUE(session_.Begin({1, 5}, params));
  EXPECT_EQ(step(eos, a), a);
  EXPECT_EQ(step(b, a), a);
  EXPECT_EQ(step(eos, a), eos);
  EXPECT_EQ(session_.finish_reason(), FinishReason::kStop);

  params = Params();
  params.bans.sequences = {{a, b}, {eos}};
  ASSERT_TRUE(session_.Begin({1, a}, params));  // a prompt's tokens do not count
  EXPECT_EQ(step(b, a), b);
  EXPECT_EQ(step(eos, a), a);
  EXPECT_EQ(step(b, a), a);
  EXPECT_EQ(step(a, b), a);

  params = Params();
  params.bans.allowed = {a};
  ASSERT_TRUE(session_.Begin({1, 5}, params));
  EXPECT_EQ(step(b, a), a);
  // Where nothing is left, the ban is nothing.
  params.bans.sequences = {{a}};
  ASSERT_TRUE(session_.Begin({1, 5}, params));
  EXPECT_EQ(step(b, a), b);
}

TEST_F(SessionTest, StopTextsActBehindTheLeastTokens) {
  GenerationOptions params = Params({"b"});
  params.bans.min_tokens = 2;
  EXPECT_THAT(Texts(params, Ids({"a", "b", "c", "b", "a"})), ElementsAre("a", "b", "c", ""));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kStop);
}

TEST_F(SessionTest, MaxTokensAndTheContextEndWithLength) {
  EXPECT_THAT(Texts(Params({}, 2), Ids({"a", "b", "c"})), ElementsAre("a", "b"));
  EXPECT_EQ(session_.finish_reason(), FinishReason::kLength);

  ASSERT_TRUE(session_.Begin(std::vector<int32_t>(kContext - 3, 5), Params({}, 1000)));
  EXPECT_EQ(session_.max_tokens(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(session_.finished());
    ASSERT_TRUE(Step(10));
  }
  EXPECT_EQ(session_.finish_reason(), FinishReason::kLength);
  EXPECT_EQ(session_.output().size(), 3u);
  EXPECT_LE(session_.position(), session_.context());
}

TEST_F(SessionTest, BeginRefusesWhatCannotRunAndStaysUsable) {
  const auto kind = [&](std::vector<int32_t> prompt, const GenerationOptions& params) {
    const Status status = session_.Begin(std::move(prompt), params);
    EXPECT_FALSE(status);
    EXPECT_EQ(session_.position(), 0u);
    EXPECT_TRUE(session_.prompt().empty());
    return status ? ErrorKind::kInternal : status.error().kind;
  };
  const auto vocab = static_cast<int32_t>(config_.vocab);
  EXPECT_EQ(kind({}, Params()), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind({1, -1}, Params()), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind({1, vocab}, Params()), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind({1}, Params({}, 0)), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind({1}, Params({"a", ""})), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind(std::vector<int32_t>(kContext, 1), Params()), ErrorKind::kContextExceeded);
  for (const auto& bias : std::vector<std::pair<int32_t, float>>{
           {vocab, 1}, {-1, 1}, {5, std::numeric_limits<float>::quiet_NaN()}}) {
    GenerationOptions params = Params();
    params.sampling.logit_bias = {bias};
    EXPECT_EQ(kind({1}, params), ErrorKind::kInvalidArgument);
  }
  EXPECT_THAT(Texts(Params(), Ids({"a"})), ElementsAre("a"));
}

TEST_F(SessionTest, ASamplingErrorIsReturned) {
  ASSERT_TRUE(session_.Begin({1}, Params()));
  const BatchEntry entry = session_.NextEntry(1);
  ASSERT_TRUE(entry.kv->Append(1));
  const std::vector<float> logits(config_.vocab, std::numeric_limits<float>::quiet_NaN());
  const auto event = session_.Accept(logits);
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().kind, ErrorKind::kInternal);
}

TEST_F(SessionTest, ResetForgetsEverything) {
  const auto tokens = Ids({"a", "b", "a", "b"});
  GenerationOptions penalised = Params({"abx"});
  penalised.sampling.frequency_penalty = 0.2f;
  // An unfinished character, held text and counted tokens are left behind.
  Texts(penalised, Ids({"a", "b", "\xC3"}));
  session_.Reset();
  EXPECT_EQ(session_.position(), 0u);
  EXPECT_TRUE(session_.output().empty());
  EXPECT_FALSE(session_.finished());
  EXPECT_THAT(Texts(penalised, tokens), ElementsAre("", "", "ab", ""));
  EXPECT_THAT(Texts(Params(), tokens), ElementsAre("a", "b", "a", "b"));  // without Reset, too
}

// Whatever is likely, a thought of three tokens is closed by those of its tag.
TEST_F(SessionTest, AThoughtThatIsTooLongIsClosed) {
  GenerationOptions params = Params({}, 10);
  params.thought = {{"", "</a>", true}, 3, Ids({"<", "/", "a", ">"})};
  ASSERT_TRUE(session_.Begin({1, 5}, params));
  std::string text;
  while (!session_.finished()) text += Step(id_of_.at("b"))->text;
  EXPECT_EQ(text, "bbb</a>bbb");
  // One that ends by itself is left alone, and so is a text without one.
  params.thought.budget = 6;
  ASSERT_TRUE(session_.Begin({1, 5}, params));
  text.clear();
  for (const char* token : {"b", "<", "/", "a", ">", "b", "b", "b", "b"}) {
    text += Step(id_of_.at(token))->text;
  }
  EXPECT_EQ(text, "b</a>bbbb");
  params.thought.tags = {"<a>", "</a>", false};
  params.thought.budget = 0;
  EXPECT_THAT(Texts(params, Ids({"b", "b", "b", "b"})), ElementsAre("b", "b", "b", "b"));
  // Opened in the middle of the answer's first words.
  ASSERT_TRUE(session_.Begin({1, 5}, params));
  text.clear();
  for (const char* token : {"<", "a", ">"}) text += Step(id_of_.at(token))->text;
  for (int i = 0; i < 5; ++i) text += Step(id_of_.at("b"))->text;
  EXPECT_EQ(text, "<a></a>b");
}

}  // namespace
}  // namespace lockstep
