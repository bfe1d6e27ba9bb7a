// Generation under a grammar: what comes out matches, ends where it should, and is the same
// whatever else the machine does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "tests/support/scheduler_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class GrammarSessionTest : public SchedulerTest {
 protected:
  Job Constrained(const std::string& gbnf, uint64_t seed, size_t max_tokens = 60) {
    if (!vocabulary_) vocabulary_ = GrammarVocabulary::Create(tokenizer_);
    Job request = Request("r" + std::to_string(seed), 3 + seed % 20, max_tokens);
    request.options.ignore_eos = false;
    request.options.sampling.temperature = 1.5f;
    request.options.sampling.top_p = 1;
    request.options.sampling.top_k = 0;
    request.options.sampling.min_p = 0;
    request.options.sampling.seed = seed;
    request.options.grammar =
        std::make_shared<TokenGrammar>(ParseGbnf("root ::= " + gbnf).value(), vocabulary_);
    return request;
  }
  void MustSubmitTo(const Job& request, const std::shared_ptr<Recorder>& recorder) {
    EXPECT_TRUE(Submit(request, recorder));
  }
  std::string Text(const Answer& answer) {
    std::string text;
    for (const std::string& part : answer.texts) text += part;
    return text;
  }

  std::shared_ptr<const GrammarVocabulary> vocabulary_;
};

TEST_F(GrammarSessionTest, TheOutputMatchesAndEndsWithTheGrammar) {
  const struct {
    const char* gbnf;
    const char* expected;
  } kCases[] = {
      {R"("yes" | "no")", "yes|no"},
      {R"([0-9]{4} "-" [0-9]{2})", "[0-9]{4}-[0-9]{2}"},
      {R"g("[" item ("," item)* "]"
item ::= "a" [b-d]{0,2} | "(" item ")")g",
       R"(\[\(*a[b-d]{0,2}\)*(,\(*a[b-d]{0,2}\)*)*\])"},
      {"[\u00e9\u20ac\U0001F600]{3}", "(\u00e9|\u20ac|\U0001F600){3}"},
      {"\"\"", ""},
  };
  size_t ended = 0;
  for (const auto& test : kCases) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      const Answer answer = Alone(Constrained(test.gbnf, seed));
      if (answer.finish != FinishReason::kStop) continue;  // a list that went on
      ++ended;
      EXPECT_TRUE(std::regex_match(Text(answer), std::regex(test.expected)))
          << test.gbnf << ": " << Text(answer);
    }
  }
  EXPECT_GT(ended, 20u);
}

// As models begin calls of tools: written out or with the token, it is the same text.
TEST_F(GrammarSessionTest, AControlTokenThatIsSpokenIsItsText) {
  const std::string_view spoken[] = {"<s>"};
  vocabulary_ = GrammarVocabulary::Create(tokenizer_, spoken);
  size_t with_token = 0, written_out = 0;
  for (uint64_t seed = 1; seed <= 200 && (with_token == 0 || written_out == 0); ++seed) {
    const Answer answer = Alone(Constrained(R"("<s>" [0-9])", seed));
    EXPECT_TRUE(std::regex_match(Text(answer), std::regex("<s>[0-9]"))) << Text(answer);
    ++(answer.tokens[0] == tokenizer_.bos() ? with_token : written_out);
  }
  EXPECT_GT(with_token, 0u);
  EXPECT_GT(written_out, 0u);
}

TEST_F(GrammarSessionTest, NoStepIsSpentWhereOnlyTheEndIsLeft) {
  const Answer answer = Alone(Constrained("\"a\"", 1));
  EXPECT_EQ(answer.tokens.size(), 1u);
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  // The text is whole, so this is no cut.
  EXPECT_EQ(Alone(Constrained("\"a\"", 1, 1)).finish, FinishReason::kStop);
  EXPECT_EQ(Alone(Constrained("[0-9]{2}", 1, 1)).finish, FinishReason::kLength);
  // Where the text may end, an end token may come; with ignore_eos only where it must.
  Job request = Constrained("[ab]{0,40}", 1);
  request.options.sampling.logit_bias = {{tokenizer_.eos(), 100.0f}};
  EXPECT_EQ(Alone(request).tokens, std::vector<int32_t>{tokenizer_.eos()});
  request.options.ignore_eos = true;
  EXPECT_EQ(Text(Alone(request)).size(), 40u);
  EXPECT_EQ(Alone(request).finish, FinishReason::kStop);
}

TEST_F(GrammarSessionTest, LogprobsStayThoseOfTheModel) {
  Job free = Constrained("\"x\"", 3);
  const Answer forced = Alone(free);
  free.options.grammar = nullptr;
  free.options.sampling.temperature = 0;
  free.options.sampling.logit_bias = {{forced.tokens[0], 1000.0f}};
  free.options.max_tokens = 1;
  EXPECT_EQ(Alone(free).logprobs, forced.logprobs);
  EXPECT_LT(forced.logprobs[0], -0.1f);
}

// R2: the same tokens alone and in a crowd, with masks found or remembered.
TEST_F(GrammarSessionTest, LoadChangesNothing) {
  const std::string list = "\"[\" [a-z]{1,9} (\", \" [a-z]{1,9}){2,5} \"]\"";
  std::vector<Job> requests;
  std::vector<Answer> alone;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    requests.push_back(seed % 3 == 0 ? Request("r" + std::to_string(seed), 9, 30)
                                     : Constrained(list, seed));
    alone.push_back(Alone(requests.back()));
  }
  for (Job& request : requests) {  // one grammar for all of them
    if (request.options.grammar) request.options.grammar = requests[0].options.grammar;
  }
  for (const size_t sessions : {12, 2}) {
    Start(sessions, {.max_queued = 16, .prefill_tokens = 7});
    std::vector<std::shared_ptr<Recorder>> recorders;
    for (const Job& request : requests) recorders.push_back(MustSubmit(request));
    for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(recorders[i]->Wait(), alone[i]) << i;
  }
}

// Each text leads to places of its own, and each byte by way of tens of thousands of empty calls.
std::string Hostile() {
  std::string gbnf = "item*";
  for (char c = 'a'; c <= 'z'; ++c) gbnf += fmt::format(" | item* \"{}\" item{{40}}", c);
  gbnf += "\nn ::= \"\"\nitem ::=";
  for (int i = 0; i < 50'000; ++i) gbnf += " n";
  return gbnf + " [ -~]";
}

TEST_F(GrammarSessionTest, AHostileGrammarIsSlowForItselfAlone) {
  const Job hostile = Constrained(Hostile(), 1, 2), neighbour = Request("neighbour", 3, 100);
  const Answer alone = Alone(hostile);
  ASSERT_EQ(alone.tokens.size(), 2u);
  Start(2);
  Job same = hostile;  // compiled anew: without the masks that are found already
  same.options.grammar = Constrained(Hostile(), 1).options.grammar;
  const auto beside = NewRecorder(), slow = NewRecorder();
  size_t meanwhile = 0;
  slow->on_token = [&](size_t tokens) {
    if (tokens == 1) meanwhile = beside->count();
  };
  beside->on_token = [&](size_t tokens) {
    if (tokens == 1) MustSubmitTo(same, slow);
  };
  EXPECT_TRUE(Submit(neighbour, beside));
  EXPECT_EQ(beside->Wait(), Alone(neighbour));
  EXPECT_EQ(slow->Wait(), alone);
  EXPECT_GT(meanwhile, 5u);
}

TEST_F(GrammarSessionTest, AHostileGrammarIsCancelledInTheMiddleOfItsWork) {
  Start(2);
  const Job hostile = Constrained(Hostile(), 1, 2);
  const auto beside = NewRecorder(), slow = NewRecorder();
  beside->on_token = [&](size_t tokens) {
    if (tokens == 1) MustSubmitTo(hostile, slow);
    if (tokens == 3) *hostile.cancelled = true;
  };
  size_t at_end = 0;
  slow->on_end = [&] { at_end = beside->count(); };
  EXPECT_TRUE(Submit(Request("neighbour", 3, 100), beside));
  const Answer answer = slow->Wait();
  beside->Wait();
  EXPECT_EQ(at_end, 3u);
  EXPECT_TRUE(answer.tokens.empty());
  ASSERT_TRUE(answer.error.has_value());
  EXPECT_EQ(answer.error->kind, ErrorKind::kCancelled);
}

// Even with a hostile session for each thread, a grammar that needs little is served at once.
TEST_F(GrammarSessionTest, WhoNeedsLittleDoesNotWaitForWhoNeedsMuch) {
  Start(4);
  const Job hostile = Constrained(Hostile(), 1, 2), other = Constrained(Hostile(), 2, 2);
  const auto slow = NewRecorder(), slow_too = NewRecorder(), quick = NewRecorder();
  size_t hostile_tokens = 1;
  quick->on_end = [&] { hostile_tokens = slow->count() + slow_too->count(); };
  Gate gate(*this);  // so that all three begin in the same step
  MustSubmitTo(hostile, slow);
  MustSubmitTo(other, slow_too);
  MustSubmitTo(Constrained("\"a\"", 3), quick);
  gate.Open();
  EXPECT_EQ(Text(quick->Wait()), "a");
  EXPECT_EQ(hostile_tokens, 0u);
  *hostile.cancelled = *other.cancelled = true;
  slow->Wait();
  slow_too->Wait();
}

TEST_F(GrammarSessionTest, ARootThatBeginsInTooManyWaysIsNamed) {
  Start(2);
  const auto begin_in = [&](size_t ways) {
    std::string root = "\"a\"";
    for (size_t i = 1; i < ways; ++i) root += " | \"a\" \"" + std::to_string(i) + "\"";
    return MustSubmit(Constrained(root, 1))->Wait();
  };
  EXPECT_FALSE(begin_in(GrammarAutomaton::kMaxHeads).error);
  const Answer answer = begin_in(GrammarAutomaton::kMaxHeads + 1);
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(answer.error->message, HasSubstr("root can begin in too many ways, more than 8192"));
}

TEST_F(GrammarSessionTest, AGrammarThatCannotGoOnIsAnErrorOfThatRequest) {
  Start(2);
  const auto vocabulary = GrammarVocabulary::Create(tokenizer_);
  // Of all bytes only "a" is a token here.
  std::vector<std::string_view> tokens(vocabulary->size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokenizer_.TokenBytes(static_cast<int32_t>(i)) == "a") tokens[i] = "a";
  }
  Job request = Constrained("\"a\"", 1);
  request.options.grammar = std::make_shared<TokenGrammar>(
      ParseGbnf("root ::= \"a\" \"b\"").value(),
      std::make_shared<GrammarVocabulary>(tokens, std::vector<int32_t>{tokenizer_.eos()}));
  const Answer answer = MustSubmit(request)->Wait();
  EXPECT_EQ(answer.tokens.size(), 1u);
  ASSERT_TRUE(answer.error.has_value());
  EXPECT_EQ(answer.error->kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(answer.error->message, HasSubstr("no token of this model continues"));

  request.options.grammar = std::make_shared<TokenGrammar>(
      ParseGbnf("root ::= \"a\"").value(),
      std::make_shared<GrammarVocabulary>(std::span(tokens).first(5), std::vector<int32_t>{2}));
  const Status status = Submit(request, NewRecorder());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().param, "grammar");
}

}  // namespace
}  // namespace lockstep
