// What a request is about to hold is asked for first, and given back with its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class ApiMemoryTest : public testing::Test {
 protected:
  ApiMemoryTest() {
    settings_.memory = &memory_;
    service_.script = "abc";
  }
  HttpReply Post(const std::string& path, const std::string& body) {
    return PostJson(Router(service_, settings_), path, body);
  }

  MemoryBudget memory_{1 << 20};
  ApiSettings settings_;
  FakeService service_;
};

TEST_F(ApiMemoryTest, AFullBudgetRefusesAndAnEmptyOneServes) {
  MemoryBudget::Share others(&memory_);
  ASSERT_TRUE(others.Resize((1 << 20) - 100));
  struct Case {
    const char* path;
    const char* body;
  };
  const Case cases[] = {{"/generate", R"({"prompt":"x"})"},
                        {"/generate", R"({"inputs":"x"})"},
                        {"/v1/completions", R"({"prompt":"x"})"},
                        {"/tokenize", R"({"content":"x"})"},
                        {"/detokenize", R"({"tokens":[65]})"}};
  std::vector<std::future<HttpReply>> replies;  // each waits for a moment
  for (const Case& to : cases) {
    replies.push_back(std::async(std::launch::async, [&] { return Post(to.path, to.body); }));
  }
  for (auto& reply : replies) {
    const HttpReply refused = reply.get();
    EXPECT_EQ(refused.status, 429) << refused.body;
    EXPECT_THAT(refused.body, HasSubstr("memory"));
    EXPECT_FALSE(FindHeader(refused.headers, "Retry-After").empty());
  }
  others = {};
  for (const auto& [path, body] : cases) EXPECT_EQ(Post(path, body).status, 200) << path << body;
  EXPECT_EQ(memory_.used(), 0u);
}

// Of requests that fit one after the other none is refused because they come at once: each takes
// two thirds of the budget.
TEST_F(ApiMemoryTest, LargeBodiesAreReadInTurn) {
  const std::string body = R"({"prompt":"x","user":")" + std::string(100'000, 'x') + R"("})";
  std::vector<std::future<HttpReply>> replies;
  for (int i = 0; i < 12; ++i) {
    replies.push_back(
        std::async(std::launch::async, [&] { return Post("/v1/completions", body); }));
  }
  for (auto& reply : replies) EXPECT_EQ(reply.get().status, 200);
  EXPECT_EQ(memory_.used(), 0u);
}

// It does not wait for what takes longer than a client's own next try.
TEST_F(ApiMemoryTest, ABodyWaitsForOthersToLeave) {
  MemoryBudget::Share others(&memory_);
  ASSERT_TRUE(others.Resize((1 << 20) - 100));
  auto reply =
      std::async(std::launch::async, [&] { return Post("/tokenize", R"({"content":"x"})"); });
  EXPECT_EQ(reply.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  others = {};
  EXPECT_EQ(reply.get().status, 200);
}

TEST_F(ApiMemoryTest, ABodyThatNeverFitsIsNoMatterOfTime) {
  std::string body = R"({"prompt":[)";
  while (body.size() < 100'000) body += "[],";
  const HttpReply reply = Post("/generate", body + "1]}");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("--request-memory"));
}

// Its own text is held, too: nobody else's end would make room for what is made of it.
TEST_F(ApiMemoryTest, ABodyThatFitsOnlyWithoutItsTextIsNoMatterOfTimeEither) {
  const std::string body = R"({"content":")" + std::string(10'000, 'x') + R"("})";
  MemoryBudget::Share text(&memory_);
  text.Force(body.size());
  int last = 400;
  for (size_t most = 50'000; most <= 1'000'000; most += 2'000) {
    memory_.SetCapacity(most);
    last = Post("/tokenize", body).status;
    ASSERT_THAT(last, testing::AnyOf(200, 400)) << most;
  }
  EXPECT_EQ(last, 200);
}

// llama-server's answers repeat the request, each of them.
TEST_F(ApiMemoryTest, WhatAnswersRepeatCounts) {
  std::string body = R"({"prompt":[97)";
  for (int i = 0; i < 5000; ++i) body += ",97";
  body += R"(],"n_predict":1,"n":)";
  EXPECT_EQ(Post("/completion", body + "1}").status, 200);
  const HttpReply many = Post("/completion", body + "8}");
  EXPECT_EQ(many.status, 400);
  EXPECT_THAT(many.body, HasSubstr("--request-memory"));
  EXPECT_EQ(memory_.used(), 0u);
}

TEST_F(ApiMemoryTest, AnAnswerHoldsWhatItSaysUntilItsEnd) {
  HttpReply stream = Post("/generate", R"({"prompt":"x","stream":true})");
  ASSERT_EQ(stream.status, 200);
  EXPECT_GT(memory_.used(), 0u);
  stream.next = nullptr;
  EXPECT_EQ(memory_.used(), 0u);

  // Logprobs make more of a token than the budget has.
  service_.script = std::string(100, 'a');
  memory_.SetCapacity(40'000);
  EXPECT_EQ(Post("/generate", R"({"prompt":"x"})").status, 200);
  EXPECT_EQ(Post("/generate", R"({"prompt":"x","logprobs":2})").status, 400);
  EXPECT_TRUE(service_.cancelled(service_.submitted() - 1));
  EXPECT_EQ(memory_.used(), 0u);
}

TEST_F(ApiMemoryTest, GrammarsCountWhileTheyLive) {
  const Tokenizer tokenizer = CreateTokenizer(SpmVocabulary({}).Metadata()).value();
  GrammarCache cache(tokenizer, {}, {}, 10, 1 << 18, &memory_);
  CompileClient client;
  std::string text = "root ::= ";
  for (int i = 0; i < 500; ++i) text += "\"abcdefg\" ";
  {
    const auto kept = cache.Gbnf(text + "\"1\"", client).value();
    const size_t one = memory_.used();
    EXPECT_GE(one, text.size() + kept->grammar().bytes());
    // The budget makes room for what is asked for by forgetting what nobody has; this one lives.
    for (int i = 2; i < 20; ++i) {
      EXPECT_TRUE(cache.Gbnf(text + "\"" + std::to_string(i) + "\"", client));
    }
    MemoryBudget::Share others(&memory_);
    ASSERT_TRUE(others.Resize(memory_.capacity() - memory_.used()));
    EXPECT_EQ(cache.Gbnf(text + "\"x\"", client).error().kind, ErrorKind::kOverloaded);
    EXPECT_EQ(cache.entries(), 0u);
    EXPECT_EQ(memory_.used() - others.bytes(), one);

    // A matcher cannot even begin then.
    GrammarMatcher matcher(kept);
    std::vector<uint64_t> allowed(kept->vocabulary().words());
    others.Force(memory_.capacity());
    EXPECT_EQ(matcher.Allow(false, allowed).error().kind, ErrorKind::kOverloaded);
    others = {};
    EXPECT_TRUE(matcher.Allow(false, allowed));
    EXPECT_GT(memory_.used(), one);
  }
  EXPECT_EQ(memory_.used(), 0u);
}

}  // namespace
}  // namespace lockstep
