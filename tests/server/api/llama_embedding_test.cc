#include "server/api/llama_embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/fake_embeddings.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class LlamaEmbeddingTest : public ApiFixture {
 protected:
  LlamaEmbeddingTest() : ApiFixture("") { service_.SetEmbeddings(embeddings_, /*alone=*/true); }
  FakeEmbeddings embeddings_;
};

TEST_F(LlamaEmbeddingTest, EachTextHasAListOfVectors) {
  const Json one = Answer(Post("/embedding", R"({"content":"a"})"));
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0]["index"], 0);
  ASSERT_EQ(one[0]["embedding"].size(), 1u);
  const std::vector<float> vector = FakeEmbeddings::VectorOf({'<', 'a', '>'});
  EXPECT_EQ(one[0]["embedding"][0].get<std::vector<float>>(), vector);
  EXPECT_EQ(Answer(Post("/embedding", R"({"input":"a","content":"b"})")), one);
  const Json two = Answer(Post("/embedding", R"({"input":["b",[60,97,62]]})"));
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1]["index"], 1);
  EXPECT_EQ(two[1]["embedding"], one[0]["embedding"]);
}

TEST_F(LlamaEmbeddingTest, NormsByNumber) {
  const auto vector = [this](int norm) {
    const std::string body = R"({"content":"a","embd_normalize":)" + std::to_string(norm) + "}";
    return Answer(Post("/embedding", body))[0]["embedding"][0].get<std::vector<float>>();
  };
  const std::vector<float> bare = vector(-1);
  double sum = 0, greatest = 0;
  for (const float value : bare) {
    sum += std::abs(double{value});
    greatest = std::max(greatest, std::abs(double{value}));
  }
  for (size_t i = 0; i < bare.size(); ++i) {
    EXPECT_FLOAT_EQ(vector(1)[i], static_cast<float>(bare[i] / sum));
    EXPECT_FLOAT_EQ(vector(0)[i], static_cast<float>(bare[i] / greatest * 32760));
  }
  EXPECT_EQ(vector(2), FakeEmbeddings::VectorOf({'<', 'a', '>'}));
}

TEST_F(LlamaEmbeddingTest, RefusalsNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {"{}", "content"},
      {R"({"content":[]})", "content"},
      {R"({"input":7})", "input"},
      {R"({"content":"a","embd_normalize":3})", "embd_normalize"},
      {R"({"content":"a","embd_normalize":-2})", "embd_normalize"}};
  for (const auto& [body, param] : cases) {
    const HttpReply reply = Post("/embedding", body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, HasSubstr("\"param\":\"" + std::string(param) + "\"")) << body;
  }
}

}  // namespace
}  // namespace lockstep
