#include "server/api/ollama/ollama_embed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/fake_embeddings.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class OllamaEmbedApi : public ApiFixture {
 protected:
  OllamaEmbedApi() : ApiFixture("") { service_.SetEmbeddings(embeddings_, /*alone=*/true); }
  FakeEmbeddings embeddings_;
};

TEST_F(OllamaEmbedApi, VectorsOfOneOrManyTexts) {
  const Json one = Answer(Post("/api/embed", R"({"model":"m","input":"a","keep_alive":"5m"})"));
  EXPECT_EQ(one["model"], "m");
  ASSERT_EQ(one["embeddings"].size(), 1u);
  EXPECT_EQ(one["embeddings"][0].get<std::vector<float>>(),
            FakeEmbeddings::VectorOf({'<', 'a', '>'}));
  EXPECT_EQ(one["prompt_eval_count"], 3);
  EXPECT_GT(one["total_duration"], 0);
  EXPECT_EQ(Answer(Post("/api/embed", R"({"input":["a","b"]})"))["embeddings"].size(), 2u);
  // Any model's vectors are cut here.
  EXPECT_EQ(Answer(Post("/api/embed", R"({"input":"a","dimensions":2})"))["embeddings"][0].size(),
            2u);
  EXPECT_EQ(Answer(Post("/api/embed", R"({"input":"a","dimensions":0})"))["embeddings"][0].size(),
            4u);
}

TEST_F(OllamaEmbedApi, NothingToEncodeIsNoError) {
  for (const char* body : {"{}", R"({"input":""})", R"({"input":[]})"}) {
    EXPECT_EQ(Answer(Post("/api/embed", body))["embeddings"], Json::array()) << body;
  }
  EXPECT_EQ(Post("/api/embeddings", R"({"prompt":""})").body, R"({"embedding":[]})");
  EXPECT_EQ(embeddings_.submitted(), 0u);
}

TEST_F(OllamaEmbedApi, TheOlderRoute) {
  EXPECT_EQ(
      Answer(Post("/api/embeddings", R"({"model":"m","prompt":"a","options":{}})"))["embedding"]
          .get<std::vector<float>>(),
      FakeEmbeddings::VectorOf({'<', 'a', '>'}));
}

// As in chats: what is known is checked, though it changes no vector, and the rest is named.
TEST_F(OllamaEmbedApi, OptionsAreThoseOfAnyRequest) {
  for (const std::string body : {R"({"input":"a")", R"({"prompt":"a")"}) {
    const char* const path = body[2] == 'i' ? "/api/embed" : "/api/embeddings";
    EXPECT_EQ(
        Ignored(Post(path, body + R"(,"options":{"num_ctx":8,"num_gpu":1},"keep_alive":-1})")), "");
    EXPECT_EQ(Ignored(Post(path, body + R"(,"options":{"foo":1,"num_thread":2}})")), "options.foo");
    EXPECT_EQ(Post(path, body + R"(,"options":5})").status, 400);
    EXPECT_EQ(Post(path, body + R"(,"keep_alive":"bad"})").status, 400);
    EXPECT_EQ(Post(path, body + R"(,"keep_alive":{}})").status, 400);
  }
}

TEST_F(OllamaEmbedApi, ErrorsAreTexts) {
  const HttpReply reply = Post("/api/embed", R"({"input":"0123456789","truncate":false})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, testing::StartsWith(R"({"error":"input has 12 tokens)"));
  EXPECT_THAT(Post("/api/embed", R"({"input":7})").body, HasSubstr("input must be a text"));
}

}  // namespace
}  // namespace lockstep
